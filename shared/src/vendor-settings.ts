import { z } from "zod";
import type { Config } from "./config.ts";
import { type VendorId, vendorContracts, vendorIds } from "./contracts/vendors/registry.ts";
import type { VendorContract } from "./contracts/vendors/vendor-contract.ts";
import type { Keyring, Sealed } from "./crypto/envelope.ts";
import { hintOf } from "./crypto/fingerprint.ts";
import { systemActor, writeAudit } from "./db/audit.ts";
import type { Db } from "./db/client.ts";
import { type VendorConfigRow, vendorConfigContext, vendorConfigRows } from "./db/vendor-configs.ts";
import { Secret } from "./secret.ts";

/** A vendor's configuration as its adapter needs it: stored values over those of the environment. */
export interface VendorSettings {
  vendor: VendorId;
  version: number;
  adminKey: Secret;
  orgId: string | null;
  extra: Record<string, unknown>;
  simulated: boolean;
}

const SealedContent = z.object({ admin_api_key: z.string(), extra_config: z.record(z.string(), z.unknown()) });

/** Encrypts what was configured, the secret parts of `extra_config` with it. */
export function sealVendorSettings(
  keyring: Keyring,
  vendor: VendorId,
  adminKey: Secret,
  extra: Record<string, unknown>,
): { sealed: Sealed; adminKeyHint: string; publicConfig: Record<string, unknown> } {
  const contract: VendorContract = vendorContracts[vendor];
  const content = JSON.stringify({ admin_api_key: adminKey.reveal(), extra_config: extra });
  const isPublic = ([name]: [string, unknown]) => contract.settings[name]?.secret === false;
  return {
    sealed: keyring.seal(new Secret(content), vendorConfigContext(vendor)),
    adminKeyHint: adminKey.reveal() === "" ? "(identity of the machine) ..." : adminHintOf(adminKey),
    publicConfig: Object.fromEntries(Object.entries(extra).filter(isPublic)),
  };
}

// The published contract promises that the hint contains three dots.
const adminHintOf = (adminKey: Secret): string => {
  const hint = hintOf(adminKey);
  return hint.includes("...") ? hint : `${hint} ...`;
};

/** @throws when the stored value cannot be decrypted with any of the configured keys. */
export function openVendorSettings(
  keyring: Keyring,
  row: VendorConfigRow,
  environment: Config["vendors"],
): VendorSettings {
  const opened = keyring.open(row.sealed, vendorConfigContext(row.vendor)).reveal();
  const content = SealedContent.parse(JSON.parse(opened));
  const fromEnvironment = environment[row.vendor];
  // A simulator's addresses belong to the credentials that it came with, never to ones that a person configured.
  const defaults = fromEnvironment && !fromEnvironment.simulated ? fromEnvironment.extra : {};
  return {
    vendor: row.vendor,
    version: row.version,
    adminKey: new Secret(content.admin_api_key),
    orgId: row.org_id,
    extra: { ...defaults, ...content.extra_config },
    simulated: row.source === "simulator",
  };
}

/**
 * Makes the vendors of the environment appear as configured. What a person configured stays in the simulator's case,
 * and gives way to real credentials in the environment.
 */
export async function adoptVendorsFromEnvironment(
  db: Db,
  keyring: Keyring,
  environment: Config["vendors"],
): Promise<void> {
  for (const vendor of vendorIds) {
    const given = environment[vendor];
    if (!given?.adminKey) continue;
    const { adminKey, orgId, extra, simulated } = given;
    await db.transaction().execute(async (tx) => {
      const rows = vendorConfigRows(tx);
      const stored = await rows.lock(vendor);
      if (stored?.source === "api" && simulated) return;
      const source = simulated ? "simulator" : "environment";
      if (stored?.source === source && isSame(keyring, stored, { adminKey, orgId, extra })) return;
      await rows.upsert({ vendor, source, orgId, ...sealVendorSettings(keyring, vendor, adminKey, extra) });
      await writeAudit(tx, {
        action: "vendor.configure",
        actor: systemActor(source),
        resourceType: "vendor",
        resourceId: vendor,
        details: { outcome: "succeeded", source, admin_key_hint: adminHintOf(adminKey) },
      });
    });
  }
}

function isSame(
  keyring: Keyring,
  stored: VendorConfigRow,
  given: { adminKey: Secret; orgId: string | null; extra: Record<string, unknown> },
): boolean {
  try {
    const content = SealedContent.parse(
      JSON.parse(keyring.open(stored.sealed, vendorConfigContext(stored.vendor)).reveal()),
    );
    return (
      content.admin_api_key === given.adminKey.reveal() &&
      stored.org_id === given.orgId &&
      JSON.stringify(content.extra_config) === JSON.stringify(given.extra)
    );
  } catch {
    // What cannot be opened any more is replaced by what the environment says.
    return false;
  }
}
