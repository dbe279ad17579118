/** Who may do what: tokens, roles, conditions, and how long a grant takes to act. */
import type { SimContext, SimRequest } from "./core.ts";
import { denied, errorInfo, Refusal, sha256 } from "./google-http.ts";
import { type Account, type Binding, type GoogleWorld, type Key, settingsOf } from "./google-world.ts";

export const PREDICT = "aiplatform.endpoints.predict";

const SERVICE_ACCOUNTS = ["create", "get", "list", "update", "disable", "enable", "delete", "undelete"];
const ACCOUNT_KEYS = ["create", "get", "list", "disable", "enable", "delete"];

/** The permissions of predefined roles, as far as anything here asks for them. */
export const PREDEFINED_ROLES: Record<string, string[]> = {
  "roles/iam.serviceAccountAdmin": SERVICE_ACCOUNTS.map((verb) => `iam.serviceAccounts.${verb}`),
  "roles/iam.serviceAccountKeyAdmin": ACCOUNT_KEYS.map((verb) => `iam.serviceAccountKeys.${verb}`),
  "roles/resourcemanager.projectIamAdmin": ["get", "getIamPolicy", "setIamPolicy"].map(
    (verb) => `resourcemanager.projects.${verb}`,
  ),
  "roles/iam.roleAdmin": ["create", "get", "list", "update", "delete", "undelete"].map((verb) => `iam.roles.${verb}`),
  "roles/orgpolicy.policyViewer": ["orgpolicy.policy.get"],
  "roles/serviceusage.serviceUsageViewer": ["serviceusage.services.get", "serviceusage.services.list"],
  "roles/aiplatform.user": [PREDICT, "aiplatform.endpoints.create", "aiplatform.tuningJobs.create"],
  "roles/viewer": ["resourcemanager.projects.get"],
};

function permits(world: GoogleWorld, role: string, permission: string): boolean {
  if (role === "roles/owner") return true;
  return (world.roles.get(role)?.includedPermissions ?? PREDEFINED_ROLES[role] ?? []).includes(permission);
}

const CLAUSE = /^request\.time\s*(<|<=|>|>=)\s*timestamp\(\s*["']([^"']+)["']\s*\)$/;

/**
 * Whether a condition holds at a time. Understands `request.time` compared with a timestamp, joined by `&&`; anything
 * else (of strangers) counts as false, so that no access is simulated that the vendor might refuse.
 */
export function conditionHolds(expression: string, now: number): boolean {
  return expression.split("&&").every((part) => {
    const [, operator, text = ""] = CLAUSE.exec(part.trim()) ?? [];
    const at = Date.parse(text);
    if (operator === undefined || Number.isNaN(at)) return false;
    if (operator === "<") return now < at;
    if (operator === "<=") return now <= at;
    return operator === ">" ? now > at : now >= at;
  });
}

/** What is wrong with a condition's text, if it can be told from its form. */
export function conditionFault(expression: string): string | null {
  if (expression.trim() === "") return "the expression is empty";
  for (const [, text = ""] of expression.matchAll(/timestamp\(([^)]*)\)/g)) {
    const literal = /^\s*["'](\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))["']\s*$/.exec(text)?.[1];
    if (literal === undefined || Number.isNaN(Date.parse(literal))) return `not a timestamp: ${text}`;
  }
  const opened = expression.split("(").length;
  return opened === expression.split(")").length ? null : "the parentheses do not match";
}

/** Whether a member holds a permission on the project right now, by a grant that has begun to act. */
export function holds(world: GoogleWorld, sim: SimContext, member: string, permission: string): boolean {
  const now = sim.now();
  const isAdmin = member === `serviceAccount:${world.adminEmail}`;
  if (isAdmin && settingsOf(sim).admin_lacks.includes(permission)) return false;
  return world.grants.some(
    (grant) =>
      grant.member === member &&
      grant.from <= now &&
      (grant.until === null || now < grant.until) &&
      permits(world, grant.role, permission) &&
      (grant.expression === null || conditionHolds(grant.expression, now)),
  );
}

export function demand(
  world: GoogleWorld,
  sim: SimContext,
  member: string,
  permission: string,
  resource?: string,
): void {
  if (!holds(world, sim, member, permission)) throw denied(permission, resource);
}

/** Brings the grants in line with a new policy: what is new acts later, what is gone still acts for a while. */
export function spreadGrants(world: GoogleWorld, sim: SimContext, bindings: Binding[]): void {
  const now = sim.now();
  const { grant_after_ms, revoke_after_ms } = settingsOf(sim);
  const keyOf = (g: { role: string; member: string; expression: string | null }) =>
    JSON.stringify([g.role, g.member, g.expression]);
  const wanted = new Map(
    bindings.flatMap(({ role, members, condition }) =>
      members.map((member) => {
        const grant = { role, member, expression: condition?.expression ?? null };
        return [keyOf(grant), grant] as const;
      }),
    ),
  );
  for (const grant of world.grants) {
    if (grant.until !== null) continue;
    if (!wanted.delete(keyOf(grant))) grant.until = now + revoke_after_ms;
  }
  world.grants = world.grants.filter(({ until }) => until === null || until > now);
  for (const grant of wanted.values()) world.grants.push({ ...grant, from: now + grant_after_ms, until: null });
}

/** Whether anything but a second create can see the account. */
export function isVisible(account: Account, sim: SimContext): boolean {
  return account.deletedAt === null && sim.now() >= account.createdAt + settingsOf(sim).account_visible_after_ms;
}

/** Whether the token endpoint takes signatures of this key right now. */
export function isKeyLive(account: Account, key: Key, sim: SimContext): boolean {
  const now = sim.now();
  return (
    isVisible(account, sim) &&
    !account.disabled &&
    key.type === "USER_MANAGED" &&
    key.deletedAt === null &&
    !key.disabled &&
    key.validAfter <= now &&
    now < key.validBefore &&
    now >= key.createdAt + settingsOf(sim).key_usable_after_ms
  );
}

const unauthenticated = (reason: string) =>
  new Refusal("UNAUTHENTICATED", "Request had invalid authentication credentials.", {
    details: [errorInfo(reason, "googleapis.com", {})],
  });

/** The member behind a bearer token. Deleting a key leaves its tokens alive; disabling the account does not. */
export function authenticate(world: GoogleWorld, sim: SimContext, req: SimRequest): string {
  const bearer = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? "")?.[1];
  if (bearer === undefined) throw unauthenticated("CREDENTIALS_MISSING");
  const token = world.tokens.get(sha256(bearer));
  if (token === undefined || token.expiresAt <= sim.now()) throw unauthenticated("ACCESS_TOKEN_EXPIRED");
  const account = world.accounts.find(({ uniqueId }) => uniqueId === token.accountId);
  if (account === undefined || account.deletedAt !== null || account.disabled) {
    throw unauthenticated("ACCOUNT_STATE_INVALID");
  }
  if (!token.scopes.includes("https://www.googleapis.com/auth/cloud-platform")) {
    throw new Refusal("PERMISSION_DENIED", "Request had insufficient authentication scopes.", {
      details: [errorInfo("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com", {})],
      violation: true,
    });
  }
  return `serviceAccount:${account.email}`;
}

/** Refuses calls to an API that nobody enabled in the project. */
export function demandService(world: GoogleWorld, sim: SimContext, service: string): void {
  if (!settingsOf(sim).disabled_services.includes(service)) return;
  throw new Refusal(
    "PERMISSION_DENIED",
    `${service} has not been used in project ${world.projectId} before or it is disabled.`,
    {
      details: [
        errorInfo("SERVICE_DISABLED", "googleapis.com", { service, consumer: `projects/${world.projectNumber}` }),
      ],
    },
  );
}
