import type { CheckReport } from "@keygate/shared/contracts/vendors";
import { KeyGateError } from "@keygate/shared/errors";
import { accountsUsualMax } from "./accounts.ts";
import { callPermission, defaultRole } from "./bindings.ts";
import type { GoogleClient } from "./client.ts";
import { isForbidden, isServiceOff, subjectOf } from "./errors.ts";
import { principalsMax, principalsOf } from "./policy.ts";

type Findings = Pick<CheckReport, "ok" | "findings" | "missing">;

/** What a look found. `missing` names what has to be granted, enabled or excepted. */
interface Finding {
  ok: boolean;
  detail: string;
  missing?: readonly string[];
}

const verbs = (resource: string, ...names: string[]) => names.map((name) => `${resource}.${name}`);

/** What provisioning, rotation and revocation call, each of them. */
export const neededPermissions: readonly string[] = [
  ...verbs("iam.serviceAccounts", "create", "get", "list", "disable", "delete"),
  ...verbs("iam.serviceAccountKeys", "create", "get", "list", "disable", "delete"),
  ...verbs("resourcemanager.projects", "get", "getIamPolicy", "setIamPolicy"),
];
const services = ["iam.googleapis.com", "cloudresourcemanager.googleapis.com", "aiplatform.googleapis.com"];
const both = (name: string) => [`iam.${name}`, `iam.managed.${name}`];
const policies = {
  account: ["iam.disableServiceAccountCreation"],
  creation: both("disableServiceAccountKeyCreation"),
  upload: both("disableServiceAccountKeyUpload"),
};
const dayMs = 86_400_000;
const warnBeforeDays = 14;

const wordsOf = (error: unknown) =>
  error instanceof KeyGateError ? (error.detail ?? error.title) : "The check itself failed.";

/** A look that only helps: without the right to it, it is left out, and says so. */
async function optional(permission: string, look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    if (!isForbidden(error)) throw error;
    const service = isServiceOff(error) ? subjectOf(error) : null;
    if (service === null) return { ok: true, detail: `Not looked at: that needs ${permission}.` };
    if (!services.includes(service)) return { ok: true, detail: `Not looked at: ${service} is not enabled.` };
    return { ok: false, detail: `Not enabled in the project: ${service}.`, missing: [service] };
  }
}

async function lookAtPermissions(client: GoogleClient): Promise<Finding> {
  const held = await client.testPermissions(client.settings.projectId, neededPermissions);
  const missing = neededPermissions.filter((permission) => !held.includes(permission));
  if (missing.length === 0) return { ok: true, detail: "The credential may do all that KeyGate does." };
  return { ok: false, detail: `The credential lacks: ${missing.join(", ")}.`, missing };
}

async function lookAtServices(client: GoogleClient): Promise<Finding> {
  const missing = await client.disabledServices(client.settings.projectId, services);
  if (missing === null) return { ok: true, detail: "Not looked at: what serves IAM here does not know of services." };
  if (missing.length === 0) return { ok: true, detail: "IAM, Resource Manager and Vertex AI are enabled." };
  return { ok: false, detail: `Not enabled in the project: ${missing.join(", ")}.`, missing };
}

async function lookAtPolicies(client: GoogleClient): Promise<Finding> {
  const inForce = async (names: readonly string[]) => {
    const found = await Promise.all(names.map((name) => client.isEnforced(client.settings.projectId, name)));
    return names.filter((_, index) => found[index]);
  };
  const [account, creation, upload] = [
    await inForce(policies.account),
    await inForce(policies.creation),
    await inForce(policies.upload),
  ];
  const except = (names: readonly string[]) => names.map((name) => `an exception from ${name}`);
  if (account.length > 0) {
    return { ok: false, detail: "The organization forbids service accounts here.", missing: except(account) };
  }
  if (creation.length > 0 && upload.length > 0) {
    const detail = `The organization forbids service account keys here: ${[...creation, ...upload].join(", ")}.`;
    return { ok: false, detail, missing: except(upload) };
  }
  if (upload.length > 0) {
    return {
      ok: true,
      detail: `Uploads are forbidden (${upload.join(", ")}): keys are made by Google, without an end.`,
    };
  }
  return { ok: true, detail: "Keys can be uploaded, so each ends at Google by itself." };
}

async function lookAtRole(client: GoogleClient): Promise<Finding> {
  const { projectId } = client.settings;
  const name = client.settings.role ?? defaultRole(projectId);
  const role = await client.getRole(name);
  if (role?.deleted) return { ok: false, detail: `The role ${name} was deleted.`, missing: [`undelete ${name}`] };
  if (!role) {
    const mayMake = (await client.testPermissions(projectId, ["iam.roles.create"])).length > 0;
    if (mayMake && client.settings.role === null) {
      return { ok: true, detail: `The role ${name} will be made at the first provisioning.` };
    }
    return { ok: false, detail: `There is no role ${name}.`, missing: [`${name} with ${callPermission}`] };
  }
  const permissions = role.includedPermissions ?? [];
  if (!permissions.includes(callPermission)) {
    return { ok: false, detail: `${name} lacks ${callPermission}.`, missing: [`${callPermission} in ${name}`] };
  }
  if (permissions.length === 1) return { ok: true, detail: `${name} may call models and nothing else.` };
  const more = permissions.length - 1;
  const detail = `Warning: ${name} gives each developer ${more} permissions beyond calling models, such as starting endpoints and tuning jobs that cost without bound. A role with ${callPermission} alone is enough.`;
  return { ok: true, detail };
}

async function lookAtRoom(client: GoogleClient): Promise<Finding> {
  const count = (await client.listAccounts(client.settings.projectId)).length;
  const { bindings } = await client.getPolicy(client.settings.projectId);
  const kib = Math.ceil(Buffer.byteLength(JSON.stringify(bindings)) / 1024);
  const principals = principalsOf(bindings);
  const detail = `${count} service accounts (${accountsUsualMax} unless the quota was raised); the IAM policy names ${principals} of ${principalsMax} principals in ${kib} KiB (a few tens at most).`;
  return { ok: principals < principalsMax, detail };
}

async function lookAtOwnKey(client: GoogleClient): Promise<Finding> {
  const { credential } = client.settings;
  if (credential.kind !== "service_account" || !credential.keyId || !credential.projectId) {
    return { ok: true, detail: "The credential is no key file, so it has no end of its own." };
  }
  const ref = { projectId: credential.projectId, email: credential.email };
  const until = (await client.getKey(ref, credential.keyId))?.validUntil ?? null;
  if (until === null) return { ok: true, detail: "The admin credential's key has no end." };
  const days = Math.floor((Date.parse(until) - Date.now()) / dayMs);
  const warning = days <= warnBeforeDays ? "Warning: " : "";
  return { ok: true, detail: `${warning}The admin credential's key ends in ${days} days.` };
}

/** Looks without changing anything. The rights to write are asked for by name, so they need no try. */
export async function check(client: GoogleClient): Promise<Findings> {
  const findings: CheckReport["findings"] = [];
  const missing: string[] = [];
  const note = async (name: string, look: () => Promise<Finding>): Promise<boolean> => {
    try {
      const finding = await look();
      findings.push({ name, ok: finding.ok, detail: finding.detail });
      missing.push(...(finding.missing ?? []));
      return finding.ok;
    } catch (error) {
      findings.push({ name, ok: false, detail: wordsOf(error) });
      const subject = isForbidden(error) ? subjectOf(error) : null;
      if (subject !== null) missing.push(subject);
      return false;
    }
  };

  const isKnown = await note("credential", async () => {
    await client.renewToken();
    return { ok: true, detail: "Google gives access tokens for the credential." };
  });
  if (!isKnown) return { ok: false, findings, missing: ["a valid service account file or workload identity"] };
  await note("permissions", () => lookAtPermissions(client));
  await note("APIs", () => optional("serviceusage.services.get", () => lookAtServices(client)));
  await note("organization policies", () => optional("orgpolicy.policy.get", () => lookAtPolicies(client)));
  await note("role for developers", () => optional("iam.roles.get", () => lookAtRole(client)));
  await note("room", () => optional("iam.serviceAccounts.list", () => lookAtRoom(client)));
  await note("admin key", () => optional("iam.serviceAccountKeys.get", () => lookAtOwnKey(client)));
  return { ok: findings.every((finding) => finding.ok), findings, missing: [...new Set(missing)] };
}
