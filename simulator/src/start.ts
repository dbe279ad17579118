/** Starts the simulated vendors together. */
import { anthropicEntry } from "./anthropic.ts";
import { azureEntry } from "./azure.ts";
import type { RunningVendor, StartedVendor, VendorEntry } from "./core.ts";
import { googleEntry } from "./google.ts";
import { openAiEntry } from "./openai.ts";

/** One line per vendor. */
const VENDORS = {
  openai: openAiEntry,
  anthropic: anthropicEntry,
  google_vertex: googleEntry,
  azure_openai: azureEntry,
} as const satisfies Record<string, VendorEntry>;

export type VendorName = keyof typeof VENDORS;
export type ServerName<V extends VendorName = VendorName> = (typeof VENDORS)[V]["servers"][number];
export const VENDOR_NAMES = Object.keys(VENDORS) as VendorName[];

export interface Simulator<V extends VendorName = VendorName> {
  /** By server name; a vendor may have several. */
  vendors: Record<ServerName<V>, RunningVendor>;
  /** What KeyGate is to be started with to use these vendors. */
  env: Record<string, string>;
  close(): Promise<void>;
}

export interface SimulatorOptions<V extends VendorName = VendorName> {
  /** Default: all. */
  vendors?: readonly V[] | undefined;
  /** By server name; a server without one takes any free port. */
  ports?: Partial<Record<ServerName, number>> | undefined;
}

/** The names of all servers, in the order in which `--port-base` numbers them. */
export function serverNames(): ServerName[] {
  return VENDOR_NAMES.flatMap((name) => [...VENDORS[name].servers]);
}

/** Starts vendors on loopback. When one cannot start, those that did are closed again. */
export async function startSimulator<const V extends VendorName = VendorName>(
  options: SimulatorOptions<V> = {},
): Promise<Simulator<V>> {
  const ports: Partial<Record<string, number>> = options.ports ?? {};
  const started: StartedVendor[] = [];
  const close = async () => {
    await Promise.all(started.flatMap((one) => Object.values(one.servers).map((server) => server.close())));
    for (const one of started) await one.close?.();
  };
  try {
    for (const name of options.vendors ?? VENDOR_NAMES) {
      const entry: VendorEntry = VENDORS[name];
      started.push(await entry.start((server) => ports[server]));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    vendors: serversOf<V>(started),
    env: Object.assign({}, ...started.map((one) => one.env)),
    close,
  };
}

/** Each entry starts every server that it names, which is what makes this cast true. */
function serversOf<V extends VendorName>(started: StartedVendor[]): Record<ServerName<V>, RunningVendor> {
  return Object.assign({}, ...started.map((one) => one.servers)) as Record<ServerName<V>, RunningVendor>;
}
