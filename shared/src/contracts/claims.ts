import { z } from "zod";
import { Timestamp } from "./common.ts";
import { JobId } from "./ids.ts";
import { VendorId } from "./vendors/registry.ts";

/** What somebody with a link may know before they take the key: for whom, from whom, until when. */
export const ClaimView = z
  .object({
    job_id: JobId,
    developer_name: z.string(),
    requested_by: z.string(),
    vendor: VendorId,
    state: z.enum(["preparing", "ready", "taken", "gone"]),
    until: Timestamp.nullable(),
    taken_at: Timestamp.nullable(),
  })
  .meta({ id: "Claim" });
export type ClaimView = z.infer<typeof ClaimView>;

/** A text sealed to the job's receiver: whoever can open it holds the private half, without having sent it. */
export const ClaimChallenge = z
  .object({
    challenge: z.string().meta({ description: "Compact JWE; opened, it is the proof" }),
    expires_at: Timestamp,
  })
  .meta({ id: "ClaimChallenge" });

export const ClaimDispute = z.strictObject({ proof: z.string().min(1).max(300) }).meta({ id: "ClaimDispute" });
export const ClaimDisputed = z.object({ status: z.literal("reported") }).meta({ id: "ClaimDisputed" });
