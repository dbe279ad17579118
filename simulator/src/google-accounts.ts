/** IAM's service accounts. */
import { z } from "zod";
import { demand, isVisible } from "./google-access.ts";
import { bodyOf, denied, emptyBody, type GoogleCall, knownQuery, mistake, pageOf, Refusal } from "./google-http.ts";
import { preconditionFailure } from "./google-organization.ts";
import { renameMember } from "./google-policy.ts";
import { type Account, emailOf, type GoogleWorld, newAccount, note, settingsOf } from "./google-world.ts";

export type Call = GoogleCall<GoogleWorld>;

const nameOf = (world: GoogleWorld, account: Account) => `projects/${world.projectId}/serviceAccounts/${account.email}`;

function view(world: GoogleWorld, account: Account): Record<string, unknown> {
  return {
    name: nameOf(world, account),
    projectId: world.projectId,
    uniqueId: account.uniqueId,
    email: account.email,
    ...(account.displayName !== "" && { displayName: account.displayName }),
    ...(account.description !== "" && { description: account.description }),
    etag: "MDEwMjE5MjA=",
    oauth2ClientId: account.uniqueId,
    ...(account.disabled && { disabled: true }),
  };
}

/** Refuses every project but ours, and the wildcard where it means nothing. */
export function demandProject(world: GoogleWorld, project: string | undefined, permission: string): void {
  if (project !== world.projectId && project !== world.projectNumber) throw denied(permission);
}

/**
 * The account that a path names by e-mail or unique id. One that is absent, or too young to be seen, is 404; under the
 * `-` wildcard 403, because then Google does not know in whose project to deny its existence.
 */
export function findAccount({ world, sim, params, member }: Call, permission: string): Account {
  const [project, id] = params;
  if (project !== "-") demandProject(world, project, permission);
  demand(world, sim, member, permission);
  const account = world.accounts.findLast((known) => known.email === id || known.uniqueId === id);
  if (account !== undefined && isVisible(account, sim)) return account;
  if (project === "-") throw denied(permission);
  throw new Refusal("NOT_FOUND", `Service account projects/${project}/serviceAccounts/${id} does not exist.`);
}

const Described = {
  displayName: z
    .string()
    .refine((text) => Buffer.byteLength(text) <= 100, "at most 100 bytes")
    .optional(),
  description: z
    .string()
    .refine((text) => Buffer.byteLength(text) <= 256, "at most 256 bytes")
    .optional(),
};

const NewAccount = z.strictObject({
  accountId: z
    .string()
    .regex(/^[a-z]([-a-z0-9]*[a-z0-9])$/)
    .min(6)
    .max(30),
  serviceAccount: z.strictObject(Described).optional(),
});

/** A second create of the same id is refused also while the first account cannot be seen yet. */
export function createAccount({ world, req, sim, params, member }: Call): unknown {
  knownQuery(req);
  demandProject(world, params[0], "iam.serviceAccounts.create");
  demand(world, sim, member, "iam.serviceAccounts.create");
  const { accountId, serviceAccount } = bodyOf(req, NewAccount);
  const living = world.accounts.filter(({ deletedAt }) => deletedAt === null);
  if (living.some((account) => account.accountId === accountId)) {
    const resourceName = `projects/${world.projectId}/serviceAccounts/${emailOf(world.projectId, accountId)}`;
    throw new Refusal(
      "ALREADY_EXISTS",
      `Service account ${accountId} already exists within project projects/${world.projectId}.`,
      { details: [{ "@type": "type.googleapis.com/google.rpc.ResourceInfo", resourceName }] },
    );
  }
  const forbidden = preconditionFailure(sim, "account", `projects/${world.projectId}`);
  if (forbidden !== null) throw forbidden;
  if (living.length >= settingsOf(sim).accounts_max) {
    throw new Refusal("RESOURCE_EXHAUSTED", "Maximum number of service accounts on project reached.");
  }
  const account = newAccount(world.projectId, accountId, sim.now());
  account.displayName = serviceAccount?.displayName ?? "";
  account.description = serviceAccount?.description ?? "";
  world.accounts.push(account);
  note(world, sim, "account.created", { email: account.email, unique_id: account.uniqueId });
  return view(world, account);
}

export function showAccount(call: Call): unknown {
  knownQuery(call.req);
  return view(call.world, findAccount(call, "iam.serviceAccounts.get"));
}

export function listAccounts({ world, req, sim, params, member }: Call): unknown {
  knownQuery(req, ["pageSize", "pageToken"]);
  demandProject(world, params[0], "iam.serviceAccounts.list");
  demand(world, sim, member, "iam.serviceAccounts.list");
  const { items, nextPageToken } = pageOf(req, world.accounts, { usual: 20, max: 100 });
  const accounts = items.filter((account) => isVisible(account, sim)).map((account) => view(world, account));
  return { ...(accounts.length > 0 && { accounts }), ...(nextPageToken && { nextPageToken }) };
}

const AccountChanges = z.strictObject({
  // What was read may be sent back whole; only what the mask names is looked at.
  serviceAccount: z.looseObject(Described),
  updateMask: z.string().min(1),
});

/** The mask is in the body, and required. */
export function updateAccount(call: Call): unknown {
  const { world, req, sim } = call;
  knownQuery(req);
  const { serviceAccount, updateMask } = bodyOf(req, AccountChanges);
  const account = findAccount(call, "iam.serviceAccounts.update");
  for (const path of updateMask.split(",").map((part) => part.trim())) {
    if (path === "description") account.description = serviceAccount.description ?? "";
    else if (path === "displayName" || path === "display_name") account.displayName = serviceAccount.displayName ?? "";
    else throw mistake(`updateMask: ${path} cannot be changed`);
  }
  note(world, sim, "account.updated", { email: account.email, mask: updateMask });
  return view(world, account);
}

/** Repeatable. Acts at once, on tokens already issued too. */
export function setDisabled(call: Call, disabled: boolean): unknown {
  knownQuery(call.req);
  emptyBody(call.req);
  const account = findAccount(call, `iam.serviceAccounts.${disabled ? "disable" : "enable"}`);
  account.disabled = disabled;
  note(call.world, call.sim, disabled ? "account.disabled" : "account.enabled", { email: account.email });
  return {};
}

const liveMember = (account: Account) => `serviceAccount:${account.email}`;
const deletedMember = (account: Account) => `deleted:serviceAccount:${account.email}?uid=${account.uniqueId}`;

/** What the account was bound to stays in the policy, under another name. */
export function deleteAccount(call: Call): unknown {
  const { world, req, sim } = call;
  knownQuery(req);
  emptyBody(req);
  const account = findAccount(call, "iam.serviceAccounts.delete");
  account.deletedAt = sim.now();
  note(world, sim, "account.deleted", { email: account.email, unique_id: account.uniqueId });
  // Grants are the account's, not the name's: a namesake made later must not inherit one that is still fading.
  world.grants = world.grants.filter((grant) => grant.member !== liveMember(account));
  renameMember(world, sim, liveMember(account), deletedMember(account));
  return {};
}

const THIRTY_DAYS_MS = 30 * 86_400_000;

/** By unique id, within 30 days, unless the name has a new owner. */
export function undeleteAccount({ world, req, sim, params, member }: Call): unknown {
  knownQuery(req);
  emptyBody(req);
  demand(world, sim, member, "iam.serviceAccounts.undelete");
  const account = world.accounts.find(({ uniqueId }) => uniqueId === params[1]);
  if (account === undefined || account.deletedAt === null || sim.now() > account.deletedAt + THIRTY_DAYS_MS) {
    throw new Refusal("NOT_FOUND", "Unknown service account");
  }
  if (world.accounts.some(({ email, deletedAt }) => email === account.email && deletedAt === null)) {
    throw new Refusal("FAILED_PRECONDITION", "An account with the same name exists.");
  }
  account.deletedAt = null;
  note(world, sim, "account.undeleted", { email: account.email, unique_id: account.uniqueId });
  renameMember(world, sim, deletedMember(account), liveMember(account));
  return { restoredAccount: view(world, account) };
}
