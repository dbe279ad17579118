import type { Config } from "@keygate/shared/config";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import type { Keyring } from "@keygate/shared/crypto/envelope";
import type { Db } from "@keygate/shared/db/client";
import type { SeenConfig } from "@keygate/shared/db/keys";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { KeyGateError } from "@keygate/shared/errors";
import type { Log } from "@keygate/shared/log";
import { openVendorSettings } from "@keygate/shared/vendor-settings";
import { observeCall } from "../metrics.ts";
import { createBreaker } from "./breaker.ts";
import { createVendorHttp, type VendorHttp } from "./http.ts";
import { createLimiter } from "./limiter.ts";
import { withPace } from "./pace.ts";
import { vendors } from "./registry.ts";
import type { AnyVendor } from "./vendor.ts";

/** A vendor ready to be called with the credentials as they are stored now. */
export interface VendorConnection {
  vendor: AnyVendor;
  client: unknown;
  settleMs: number;
}

export interface PacedConnection extends VendorConnection {
  /** The credentials that it was made with: another number is perhaps another organization. */
  configVersion: number;
}

export interface VendorConnections {
  /**
   * @param seen what the caller has just read of the vendor's configuration, so that it need not be read again.
   * @throws `vendor.refused_us` when nothing is configured or the stored credential cannot be opened.
   */
  connect(id: VendorId, seen?: SeenConfig | null): Promise<VendorConnection>;
  /** The same vendor through the same limiter, for calls that stand back: see `withPace`. */
  connectPaced(id: VendorId): Promise<PacedConnection>;
  /** The vendor accepted us: health says so from now on. */
  reportHealthy(id: VendorId): Promise<void>;
  /** The vendor refused the credential, with its words. Returns for how many milliseconds it has been doing so. */
  reportUnhealthy(id: VendorId, detail: string): Promise<number>;
  close(): Promise<void>;
}

interface Opened {
  version: number;
  health: string;
  connection: VendorConnection;
  http: VendorHttp;
  paced(): PacedConnection;
}

/** What to stay away for after a 429 that says nothing: OpenAI's window was measured to refill in a minute. */
const throttleWindowMs = 60_000;

export function openConnections(deps: { db: Db; keyring: Keyring; config: Config; log: Log }): VendorConnections {
  const { db, keyring, config, log } = deps;
  const refusedSince = new Map<VendorId, number>();
  const open = new Map<VendorId, Opened>();

  const httpFor = (id: VendorId): VendorHttp =>
    createVendorHttp({
      vendor: id,
      timeoutMs: config.vendorCalls.timeoutMs,
      limiter: createLimiter(throttleWindowMs),
      breaker: createBreaker(),
      onCall: (call) => {
        observeCall(id, call.endpoint, call.status, call.durationMs);
        log.debug({ vendor: id, ...call }, "vendor.call");
      },
    });

  async function openFor(id: VendorId, seen?: SeenConfig | null): Promise<Opened> {
    const same = open.get(id);
    if (same && same.version === seen?.version) {
      same.health = seen.health;
      return same;
    }
    const row = await vendorConfigRows(db).find(id);
    if (!row) {
      throw new KeyGateError("vendor.refused_us", {
        detail: "The vendor is not configured any more; configure it again and its jobs go on.",
      });
    }
    const known = open.get(id);
    if (known?.version === row.version) {
      known.health = row.health;
      return known;
    }
    const vendor: AnyVendor = vendors[id];
    const http = httpFor(id);
    const settleMs = config.vendorCalls.settleMs ?? vendor.settleMs;
    const clientOver = (over: VendorHttp, settings = openVendorSettings(keyring, row, config.vendors)) =>
      vendor.connect(settings, { http: over, timeoutMs: config.vendorCalls.timeoutMs, settleMs });
    let client: unknown;
    try {
      client = clientOver(http);
    } catch (cause) {
      await http.close();
      if (cause instanceof KeyGateError) throw cause;
      throw new KeyGateError("vendor.refused_us", {
        detail: "The stored credential cannot be opened with the keys in ENCRYPTION_KEY; configure the vendor again.",
        cause,
      });
    }
    const connection = { vendor, client, settleMs };
    const perMinute = config.reconcile.callsPerMinute[id] ?? vendor.inventory.callsPerMinute;
    let paced: PacedConnection | undefined;
    const opened: Opened = {
      version: row.version,
      health: row.health,
      connection,
      http,
      paced: () =>
        (paced ??= { vendor, settleMs, configVersion: row.version, client: clientOver(withPace(http, perMinute)) }),
    };
    open.set(id, opened);
    // Calls of jobs that still use the old connection end by themselves; only idle sockets are closed.
    setTimeout(() => known?.http.close().catch(() => {}), config.vendorCalls.timeoutMs * 2).unref();
    return opened;
  }

  return {
    connect: async (id, seen) => (await openFor(id, seen)).connection,
    connectPaced: async (id) => (await openFor(id)).paced(),
    async reportHealthy(id) {
      refusedSince.delete(id);
      const known = open.get(id);
      if (known?.health === "healthy") return;
      if (known) known.health = "healthy";
      if (await vendorConfigRows(db).setHealth(id, "healthy", null)) log.info({ vendor: id }, "vendor.healthy");
    },
    async reportUnhealthy(id, detail) {
      const since = refusedSince.get(id) ?? performance.now();
      refusedSince.set(id, since);
      const known = open.get(id);
      if (known) known.health = "unhealthy";
      if (await vendorConfigRows(db).setHealth(id, "unhealthy", detail)) {
        log.warn({ vendor: id, detail }, "vendor.unhealthy");
      }
      return performance.now() - since;
    },
    async close() {
      await Promise.allSettled([...open.values()].map(({ http }) => http.close()));
    },
  };
}
