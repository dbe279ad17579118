import { createPrivateKey } from "node:crypto";
import { googleVertex as contract } from "@keygate/shared/contracts/vendors/google-vertex";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { VendorSettings } from "@keygate/shared/vendor-settings";
import { z } from "zod";

const ServiceAccountFile = z.looseObject({
  type: z.literal("service_account"),
  project_id: z.string().optional(),
  private_key_id: z.string().optional(),
  private_key: z.string().min(1),
  client_email: z.string().min(3),
});
const ExternalAccount = z.looseObject({
  type: z.literal("external_account"),
  audience: z.string().min(1),
  subject_token_type: z.string().min(1),
  token_url: z.url(),
  service_account_impersonation_url: z.url().optional(),
  credential_source: z.looseObject({}),
});
const CredentialFile = z.discriminatedUnion("type", [ServiceAccountFile, ExternalAccount]);

/** Who we are at Google. `attached` is the identity of the machine that we run on. */
export type GoogleCredential =
  | { kind: "service_account"; email: string; keyId: string | null; projectId: string | null; privateKey: Secret }
  | { kind: "external_account"; options: Secret }
  | { kind: "attached" };

/** The settings as the client needs them: everything that was left out is filled in. */
export interface GoogleSettings {
  credential: GoogleCredential;
  projectId: string;
  region: string;
  /** Null: the project's own role, made when it is missing. */
  role: string | null;
  iamUrl: string;
  resourceManagerUrl: string;
  serviceUsageUrl: string;
  orgPolicyUrl: string;
  tokenUrl: string;
  vertexUrl: string;
}

/** Where Google's own client exchanges assertions; it knows no other address. */
export const googleTokenUrl = "https://oauth2.googleapis.com/token";
const googleIamUrl = "https://iam.googleapis.com";

const refused = (detail: string) => new KeyGateError("vendor.refused_us", { detail, nothingHappened: true });

/**
 * Reads the credential. A configuration of workload identity can name addresses and programs of its own: it may only
 * exchange tokens at Google or where the operator says, and never run anything.
 */
function readCredential(text: string, tokenHost: string): GoogleCredential {
  if (text.trim() === "") return { kind: "attached" };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refused("The credential is not JSON. The whole text of the service account's file is needed, not its path.");
  }
  const file = CredentialFile.safeParse(json);
  if (!file.success) {
    const fields = file.error.issues.map((issue) => issue.path.join(".") || "type").join(", ");
    throw refused(
      `The credential is neither a service account's file nor a workload identity configuration; look at: ${fields}.`,
    );
  }
  if (file.data.type === "service_account") {
    const { client_email: email, private_key_id, project_id, private_key } = file.data;
    try {
      createPrivateKey(private_key);
    } catch {
      throw refused("The service account file's private_key cannot be read; was the file cut or re-encoded?");
    }
    const privateKey = new Secret(private_key);
    return { kind: "service_account", email, keyId: private_key_id ?? null, projectId: project_id ?? null, privateKey };
  }
  const { token_url, service_account_impersonation_url, credential_source } = file.data;
  for (const address of [token_url, service_account_impersonation_url]) {
    if (address === undefined) continue;
    const { host, protocol } = new URL(address);
    const isGoogles = protocol === "https:" && host.endsWith(".googleapis.com");
    if (host !== tokenHost && !isGoogles) {
      throw refused(`The workload identity configuration would send tokens to ${host}, which is not Google's.`);
    }
  }
  if ("executable" in credential_source) {
    throw refused("The workload identity configuration would run a program; use a file, an address or AWS instead.");
  }
  return { kind: "external_account", options: new Secret(text) };
}

const trimmed = (url: string) => url.replace(/\/+$/, "");

/** @throws KeyGateError `vendor.refused_us` that says what is missing or wrong. */
export function readSettings(settings: VendorSettings): GoogleSettings {
  const extra = contract.extraConfig.safeParse(settings.extra);
  if (!extra.success) {
    throw refused(`The settings are not right: ${extra.error.issues.map((issue) => issue.path.join(".")).join(", ")}.`);
  }
  const { project_id, region = "global", service_account_json, role, ...urls } = extra.data;
  const tokenUrl = urls.token_url ?? googleTokenUrl;
  const given = typeof service_account_json === "object" ? JSON.stringify(service_account_json) : service_account_json;
  const credential = readCredential(given ?? settings.adminKey.reveal(), new URL(tokenUrl).host);
  const projectId = project_id ?? (credential.kind === "service_account" ? credential.projectId : null);
  if (!projectId) throw refused("No project is configured: set project_id (GCP_PROJECT_ID).");

  const iamUrl = trimmed(urls.iam_url ?? googleIamUrl);
  // Who reaches IAM through a gateway reaches its neighbours there too.
  const neighbour = (google: string) => (iamUrl === googleIamUrl ? google : iamUrl);
  const regional =
    region === "global" ? "https://aiplatform.googleapis.com" : `https://${region}-aiplatform.googleapis.com`;
  return {
    credential,
    projectId,
    region,
    role: role ?? null,
    iamUrl,
    resourceManagerUrl: trimmed(urls.resource_manager_url ?? "https://cloudresourcemanager.googleapis.com"),
    serviceUsageUrl: neighbour("https://serviceusage.googleapis.com"),
    orgPolicyUrl: neighbour("https://orgpolicy.googleapis.com"),
    tokenUrl,
    // The simulator is all of Google at one address; a gateway for IAM says nothing about where models are called.
    vertexUrl: trimmed(urls.vertex_url ?? (settings.simulated ? iamUrl : regional)),
  };
}
