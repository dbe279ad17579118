import { type Inventory, ifAllowed, type Listed, type SeenKey } from "../inventory.ts";
import { defaultRole } from "./bindings.ts";
import type { GoogleAccount, GoogleClient, GoogleKey } from "./client.ts";
import { expressionFor, type Policy } from "./policy.ts";
import { accountOf, type GoogleState } from "./state.ts";

interface Grant {
  member: string;
  role: string;
  expression: string | null;
}

const markIn = (description: string | null | undefined): string | null =>
  (description ?? "")
    .split(";")
    .find((part) => part.startsWith("keygate-key="))
    ?.slice("keygate-key=".length) ?? null;

/** What service accounts hold, live and deleted; everybody else's grants are none of our business. */
const grantsIn = ({ bindings }: Policy): Grant[] =>
  bindings.flatMap(({ role, members, condition }) =>
    members
      .filter((member) => /^(deleted:)?serviceAccount:/.test(member))
      .map((member) => ({ member, role, expression: condition?.expression ?? null })),
  );

const roleOf = ({ settings }: GoogleClient) => settings.role ?? defaultRole(settings.projectId);

function listedOf(client: GoogleClient, projectId: string, account: GoogleAccount): Listed {
  const { email, uniqueId, disabled } = account;
  const keyId = markIn(account.description);
  return {
    id: email,
    what: "service account",
    name: email.split("@")[0] ?? email,
    mark: keyId ? { keyId } : null,
    state: "live",
    ref: { projectId, email, uniqueId, role: roleOf(client) },
    facts: { isDisabled: disabled === true },
  };
}

/** A grant whose account is gone: its place in the policy is taken, and the policy has 1,500. */
function leftoverGrants(client: GoogleClient, grants: readonly Grant[], standing: ReadonlySet<string>): Listed[] {
  const { projectId } = client.settings;
  const role = roleOf(client);
  return grants.flatMap((grant) => {
    const [, email] = /^(?:deleted:)?serviceAccount:([^?]+)/.exec(grant.member) ?? [];
    const isOurs = grant.role === role && email?.startsWith("keygate-") && email.includes(`@${projectId}.`);
    if (!email || !isOurs || standing.has(email)) return [];
    return [leftoverOf(client, email)];
  });
}

const leftoverOf = (client: GoogleClient, email: string, projectId = client.settings.projectId): Listed => ({
  id: email,
  what: "grant of a deleted service account",
  name: email.split("@")[0] ?? email,
  mark: { keyId: null },
  state: "leftover",
  ref: { projectId, email, role: roleOf(client) },
});

const seenKeyOf = (item: Listed, { id, validUntil, disabled, disableReason }: GoogleKey): SeenKey => ({
  id,
  name: null,
  hint: null,
  expiresAt: validUntil,
  disabled: disabled ? disabledWords(disableReason) : null,
  ...(validUntil && Date.parse(validUntil) <= Date.now() ? { isOver: true as const } : {}),
  note: "It opens the same account as the key that KeyGate made.",
  ref: { ...item.ref, keyId: id },
});

const disabledWords = (reason: string | null) =>
  reason?.endsWith("EXPOSED")
    ? "Google found the key in public and disabled it (EXPOSED). Treat it as leaked."
    : `The key is disabled (${reason ?? "no reason given"}).`;

/** The end that a condition sets; one that says more than that is shown whole. */
function endOf(expression: string | null): string | null {
  const until = /timestamp\("([^"]+)"\)/.exec(expression ?? "")?.[1];
  return until !== undefined && expression === expressionFor(until) ? until : expression;
}

/** KeyGate's service accounts with their keys and grants. */
export const inventory: Inventory<GoogleClient> = {
  // Google lets a project read thousands a minute; this leaves nearly all of it.
  callsPerMinute: 60,
  async list({ client, once }) {
    const { projectId } = client.settings;
    const accounts = await once("accounts", async () =>
      (await client.listAccounts(projectId)).map((account) => listedOf(client, projectId, account)),
    );
    const grants = await once("grants", () => ifAllowed(client.getPolicy(projectId).then(grantsIn)));
    const ours = accounts
      .filter(({ mark }) => mark)
      .map((item) => ({
        ...item,
        facts: {
          ...item.facts,
          ...(grants ? { grants: grants.value.filter(({ member }) => member === `serviceAccount:${item.id}`) } : {}),
        },
      }));
    const standing = new Set(accounts.map(({ id }) => id));
    return { items: [...ours, ...leftoverGrants(client, grants?.value ?? [], standing)], next: null };
  },
  async find({ client, once }, ref) {
    const account = accountOf(ref as GoogleState);
    if (!account) return null;
    const found = await once("account", () => client.getAccount(account));
    const grants = await once("grants", () => ifAllowed(client.getPolicy(account.projectId).then(grantsIn)));
    const held = (grants?.value ?? []).filter(({ member }) => member.includes(`serviceAccount:${account.email}`));
    if (found) {
      const item = listedOf(client, account.projectId, found);
      return { ...item, facts: { ...item.facts, ...(grants ? { grants: held } : {}) } };
    }
    return held.some(({ role }) => role === roleOf(client))
      ? leftoverOf(client, account.email, account.projectId)
      : null;
  },
  async look({ client, once }, item) {
    const account = accountOf(item.ref as GoogleState);
    if (item.state !== "live" || !account) return { item, keys: [], disabled: null, limits: {} };
    const keys = await once("keys", async () =>
      ((await client.listKeys(account)) ?? []).map((key) => seenKeyOf(item, key)),
    );
    const { isDisabled, grants } = (item.facts ?? {}) as { isDisabled?: boolean; grants?: Grant[] };
    return {
      item,
      keys,
      disabled: isDisabled ? "The service account is disabled: no key of it works." : null,
      limits: grants ? { grants } : {},
    };
  },
  containerOf: ({ email }) => (typeof email === "string" ? email : null),
  keyOf: ({ keyId }) => (typeof keyId === "string" ? keyId : null),
  driftOf({ limits }, ref) {
    const { role, accessUntil } = ref as GoogleState;
    const grants = limits.grants as Grant[] | undefined;
    if (!grants || role === undefined || accessUntil === undefined) return [];
    const own = grants.filter((grant) => grant.role === role);
    const extra = grants.filter((grant) => grant.role !== role).map((grant) => grant.role);
    const ends = own.map(({ expression }) => endOf(expression));
    // The whole condition: one that has an "or" behind its end does not end.
    const isRight = own.length === 1 && own[0]?.expression === (accessUntil && expressionFor(accessUntil));
    return [
      ...(isRight
        ? []
        : [{ limit: "expiry", expected: accessUntil, found: own.length === 0 ? "no grant at all" : ends }]),
      ...(extra.length > 0 ? [{ limit: "role", expected: [role], found: [role, ...extra] }] : []),
    ];
  },
  adopt: () => ({
    refusal:
      "The service account belongs to one developer's key, and every key of it is the same identity. Remove this key, or revoke the developer's.",
  }),
  refusesRemoval: () => null,
};
