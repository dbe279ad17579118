import type { VendorName } from "@keygate/simulator/start";
import { z } from "zod";
import { type Client, signIn } from "./client.ts";
import type { Lane } from "./lane.ts";
import { type BooksReader, booksOf, mainServer } from "./vendor-books.ts";

/** What the story of a key knows of its newest key. */
export interface Asked {
  keyId: string;
  jobId: string;
  vendor: VendorName;
  claimToken: string | null;
}

/** A key in somebody's hands: what an answer of the API held. */
export interface Delivery {
  keyId: string;
  jobId: string;
  vendor: VendorName;
  secret: string;
  instructions: Record<string, unknown>;
}

/** What a seed runs in: a lane, a client of it, its vendors' books, and what the client was given. */
export interface World {
  lane: Lane;
  client: Client;
  books: ReadonlyMap<VendorName, BooksReader>;
  deliveries: Delivery[];
  /** The jobs of earlier seeds that failed. */
  failedBefore: readonly string[];
  /** How many calls each vendor has refused as asking for what it does not do: so many jobs may fail. */
  refusals: Map<VendorName, number>;
  /** What was wrong, in words, as it was seen. */
  violations: Set<string>;
  /** False once the seed's time is over: whoever polls stops. */
  isRunning(): boolean;
}

export const serverOf = ({ simulator }: Lane, vendor: VendorName) => simulator.vendors[mainServer[vendor]];

const Id = z.object({ id: z.string() });
const vendors = Object.keys(booksOf) as VendorName[];
export const vendorNames = vendors as [VendorName, ...VendorName[]];

export async function openWorld(lane: Lane, isRunning: () => boolean): Promise<World> {
  return {
    lane,
    client: await signIn(lane),
    books: new Map(vendors.map((vendor) => [vendor, booksOf[vendor](serverOf(lane, vendor))])),
    deliveries: [],
    failedBefore: (await lane.ask(Id, "select id from jobs where state = 'failed'")).map(({ id }) => id),
    refusals: new Map(),
    violations: new Set(),
    isRunning,
  };
}
