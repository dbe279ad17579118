import type { DeveloperId, WorkspaceId } from "@keygate/shared/contracts/ids";
import { type VendorId, vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import type { VendorContract } from "@keygate/shared/contracts/vendors/vendor-contract";
import type { Tx } from "@keygate/shared/db/client";
import { developerRows } from "@keygate/shared/db/developers";
import { keyRows } from "@keygate/shared/db/keys";
import { type VendorConfigRow, vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { workspaceRows } from "@keygate/shared/db/workspaces";
import { KeyGateError } from "@keygate/shared/errors";
import { microsToDollars } from "@keygate/shared/money";

/** The vendor's data sheet. */
export const contractOf = (vendor: VendorId): VendorContract => vendorContracts[vendor];

const usd = (micros: number) => `$${microsToDollars(micros).toFixed(2)}`;

/** @throws request.invalid when the vendor keeps keys for a shorter time at most. */
export function checkExpiry(vendor: VendorId, days: number): void {
  const { title, expiryDaysMax } = contractOf(vendor);
  if (expiryDaysMax === null || days <= expiryDaysMax) return;
  const message = `${title} accepts ${expiryDaysMax} days at most`;
  throw new KeyGateError("request.invalid", {
    detail: `expires_in_days: ${message}.`,
    errors: [{ field: "expires_in_days", message }],
  });
}

/** The developer, locked: nobody is deactivated while a key is being asked for. @throws developer.* */
export async function requireActiveDeveloper(tx: Tx, id: DeveloperId) {
  const developer = await developerRows(tx).lock(id);
  if (!developer) throw new KeyGateError("developer.not_found", { detail: `There is no developer ${id}.` });
  if (!developer.is_active) {
    throw new KeyGateError("developer.inactive", { detail: `${developer.name} is deactivated and can get no key.` });
  }
  return developer;
}

/** The vendor's configuration, held: it is not removed while a key is being asked for. @throws vendor.not_configured */
export async function requireVendor(tx: Tx, vendor: VendorId): Promise<VendorConfigRow> {
  const config = await vendorConfigRows(tx).hold(vendor);
  if (config) return config;
  throw new KeyGateError("vendor.not_configured", {
    detail: `${contractOf(vendor).title} is not configured: give its admin key to POST /api/v1/vendors/configure.`,
  });
}

/** The workspace takes the key: membership, budget and rate. Its row stays locked until the key counts. @throws workspace.* */
export async function requireRoomInWorkspace(
  tx: Tx,
  id: WorkspaceId,
  key: { developerId: DeveloperId; budgetMicros: number; rateLimitRpm: number },
): Promise<void> {
  const workspace = await workspaceRows(tx).lock(id);
  if (!workspace) throw new KeyGateError("workspace.not_found", { detail: `There is no workspace ${id}.` });
  const { name, spend_limit_micros: spendLimit, rate_limit_rpm: rateLimit } = workspace;
  if (workspace.is_archived) throw new KeyGateError("workspace.archived", { detail: `${name} is archived.` });
  if (!(await workspaceRows(tx).isMember(id, key.developerId))) {
    throw new KeyGateError("workspace.not_a_member", { detail: `${key.developerId} is not a member of ${name}.` });
  }
  const exceeded = (detail: string) => new KeyGateError("workspace.limit_exceeded", { detail });
  if (rateLimit !== null && key.rateLimitRpm > rateLimit) {
    throw exceeded(`A key of ${name} may have ${rateLimit} requests per minute; ${key.rateLimitRpm} were asked for.`);
  }
  if (spendLimit === null) return;
  const given = await keyRows(tx).budgetOfWorkspace(id);
  if (given + key.budgetMicros <= spendLimit) return;
  throw exceeded(
    `${name} may spend ${usd(spendLimit)} a month. Its live keys have ${usd(given)}, which leaves ` +
      `${usd(Math.max(0, spendLimit - given))}; ${usd(key.budgetMicros)} were asked for.`,
  );
}
