import { azureDeploymentTypes, azureOpenAi as contract } from "@keygate/shared/contracts/vendors/azure-openai";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { VendorSettings } from "@keygate/shared/vendor-settings";

/** Who KeyGate is to Azure. */
export type AzureIdentity =
  | { kind: "secret"; tenantId: string; clientId: string; secret: Secret }
  /** The machine's own, by a token that Kubernetes puts into a file, or by the address that hands tokens out. */
  | { kind: "workload"; tenantId: string | null; clientId: string | null }
  | { kind: "managed"; clientId: string | null }
  /** No secret was configured: whichever of the two the machine has. */
  | { kind: "machine"; tenantId: string | null; clientId: string | null };

/** An Azure configuration with every default filled in. */
export interface AzureSettings {
  identity: AzureIdentity;
  subscriptionId: string;
  resourceGroup: string;
  /** In Azure's own spelling, the preferred one first. */
  locations: string[];
  resourceManagerUrl: string;
  authorityHost: string;
  /** What tokens are asked for. */
  tokenScope: string;
  /** Asked for where the authority does not know the Resource Manager's own address, as with a gateway; null if none. */
  otherTokenScope: string | null;
  /** Whether the authority is one that Microsoft's public directory of authorities knows. */
  isKnownAuthority: boolean;
  deploymentTypes: readonly string[];
  apiVersion: string;
}

// Management and sign-in address belong together; giving one of a cloud is enough.
const clouds = [
  { manager: "https://management.azure.com", authority: "https://login.microsoftonline.com" },
  { manager: "https://management.usgovcloudapi.net", authority: "https://login.microsoftonline.us" },
  { manager: "https://management.chinacloudapi.cn", authority: "https://login.chinacloudapi.cn" },
] as const;

/** Knows pausing of deployments, and is older than what is still changing. */
const defaultApiVersion = "2026-03-01";

/** Locations are compared without regard to case and spaces; Azure echoes whatever spelling it was given. */
export const normalLocation = (location: string): string => location.toLowerCase().replace(/\s/g, "");

const plain = (url: string): string => url.replace(/\/+$/, "");

/**
 * Fills in what was left out.
 *
 * @throws KeyGateError `vendor.refused_us` that names every value that is missing or wrong.
 */
export function readAzureSettings(settings: VendorSettings): AzureSettings {
  const parsed = contract.extraConfig.safeParse(settings.extra);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw incomplete(`The configuration is not usable. ${problems.join("; ")}.`);
  }
  const extra = parsed.data;
  const { subscription_id: subscriptionId, resource_group: resourceGroup, location = [] } = extra;
  const identity = identityOf(settings.adminKey, extra);
  const missing = [
    ...(subscriptionId ? [] : ["subscription_id"]),
    ...(resourceGroup ? [] : ["resource_group"]),
    ...(location.length > 0 ? [] : ["location"]),
    ...(Array.isArray(identity) ? identity : []),
  ];
  if (!subscriptionId || !resourceGroup || Array.isArray(identity) || missing.length > 0) {
    throw incomplete(`The configuration lacks ${missing.join(", ")}.`);
  }
  return {
    identity,
    subscriptionId,
    resourceGroup,
    locations: [...new Set(location.map(normalLocation))],
    deploymentTypes: extra.deployment_types ?? azureDeploymentTypes,
    apiVersion: extra.api_version ?? defaultApiVersion,
    ...addressesOf(extra.resource_manager_url, extra.authority_host),
  };
}

const incomplete = (detail: string) => new KeyGateError("vendor.refused_us", { detail, nothingHappened: true });

/** The identity, or the names of the values that it lacks. */
function identityOf(
  adminKey: Secret,
  extra: { tenant_id?: string | undefined; client_id?: string | undefined; client_secret?: string | undefined },
): AzureIdentity | string[] {
  const tenantId = extra.tenant_id ?? null;
  const clientId = extra.client_id ?? null;
  const secret = extra.client_secret ?? adminKey.reveal();
  if (secret === "managed-identity") return { kind: "managed", clientId };
  if (secret === "workload-identity") return { kind: "workload", tenantId, clientId };
  if (secret === "") return { kind: "machine", tenantId, clientId };
  if (tenantId && clientId) return { kind: "secret", tenantId, clientId, secret: new Secret(secret) };
  return [...(tenantId ? [] : ["tenant_id"]), ...(clientId ? [] : ["client_id"])];
}

function addressesOf(manager: string | undefined, authority: string | undefined) {
  const resourceManagerUrl = plain(manager ?? clouds[0].manager);
  const byManager = clouds.find((cloud) => cloud.manager === resourceManagerUrl);
  const authorityHost = plain(authority ?? (byManager ?? clouds[0]).authority);
  const byAuthority = clouds.find((cloud) => cloud.authority === authorityHost);
  // A gateway in front of Azure's own Resource Manager takes the tokens of the cloud that the authority belongs to.
  const known = byManager?.manager ?? byAuthority?.manager;
  return {
    resourceManagerUrl,
    authorityHost,
    tokenScope: `${known ?? resourceManagerUrl}/.default`,
    otherTokenScope: known ? null : `${clouds[0].manager}/.default`,
    isKnownAuthority: byAuthority !== undefined,
  };
}
