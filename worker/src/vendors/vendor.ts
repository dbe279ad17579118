import type { Instructions } from "@keygate/shared/contracts/keys";
import type { LimitReport } from "@keygate/shared/contracts/limits";
import type { CheckReport } from "@keygate/shared/contracts/vendors";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import type { VendorSettings } from "@keygate/shared/vendor-settings";
import type { SagaContext, SagaKey, SagaState, Step } from "../saga/step.ts";
import type { VendorHttp } from "./http.ts";
import type { Inventory } from "./inventory.ts";

export type VendorStep<Client, State extends SagaState> = Step<SagaContext<Client>, State>;

/** What a key has at the vendor once it was issued, and what may be said about it. */
export interface Issued {
  /** The vendor's ids, enough to rotate and to revoke; never a secret. */
  vendorRef: Record<string, unknown>;
  limits: LimitReport[];
  instructions: Instructions;
}

/** What connecting gives an adapter beside its settings. */
export interface VendorDeps {
  http: VendorHttp;
  timeoutMs: number;
  /** Instead of the vendor's own settle time, where the configuration says so. */
  settleMs?: number;
}

/**
 * Everything that KeyGate needs from a vendor: its sagas, how its credentials are checked, and how long its lists may
 * lag. An adapter reads like a data sheet.
 */
export interface Vendor<Client, State extends SagaState> {
  id: VendorId;
  /** Milliseconds that "not found" has to last before it counts, with its source in the adapter. */
  settleMs: number;
  /** Makes a client from the stored settings. @throws KeyGateError `vendor.refused_us` when they are incomplete. */
  connect(settings: VendorSettings, deps: VendorDeps): Client;
  /** Tries the credentials without changing anything, and names what is missing. */
  check(client: Client): Promise<Pick<CheckReport, "ok" | "findings" | "missing">>;
  provision: readonly VendorStep<Client, State>[];
  /** Makes a second key next to the old one; starts from the old key's vendorRef. */
  rotate: readonly VendorStep<Client, State>[];
  /** Ends the key's access and looks until it is gone. `last` when no other key needs what they share. */
  revoke(last: boolean): readonly VendorStep<Client, State>[];
  /** Removes what the keys of a lineage shared, when the last of them has ended without doing so. */
  dismantle: readonly VendorStep<Client, State>[];
  describe(state: State, key: SagaKey, client: Client): Issued;
  /** What stands at the vendor, for reconcile. */
  inventory: Inventory<Client>;
}

/** A vendor whose client and state types have been forgotten, as registry and processors handle it. */
export type AnyVendor = Vendor<unknown, SagaState>;

/**
 * Forgets the types of an adapter. Sound because nothing but the adapter's own `connect` makes its clients, and nothing
 * but its own steps makes its states.
 */
export function defineVendor<Client, State extends SagaState>(vendor: Vendor<Client, State>): AnyVendor {
  return vendor as unknown as AnyVendor;
}
