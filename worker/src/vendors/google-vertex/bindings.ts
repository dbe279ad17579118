import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { isBadRequest, isForbidden, isGone, isPrecondition, isServiceOff, isTaken, saysNotThere } from "./errors.ts";
import { hasGrant, withGrant, withoutGrant } from "./policy.ts";
import {
  type Ctx,
  type GoogleState,
  type GoogleStep,
  isYoung,
  pauseFor,
  requireAccount,
  wholeSeconds,
} from "./state.ts";

export const defaultRoleId = "keygateVertexCaller";
/** Model calls and the counting of tokens; nothing that starts machines or reads what others left. */
export const callPermission = "aiplatform.endpoints.predict";

/** The policy may not know a new account for this long. */
const unknownForMs = 5 * 60_000;
/** A bad argument that does not speak of the account is another matter, but for a slip of the vendor's words. */
const unclearForMs = 30_000;

export const defaultRole = (projectId: string) => `projects/${projectId}/roles/${defaultRoleId}`;

/**
 * Settles the role, and makes the project's own one the first time. Nobody removes it again: all keys share it, and
 * the name of a deleted role stays blocked. No wider role takes its place when it cannot be made.
 */
export const chooseRole: GoogleStep = {
  name: "choose-role",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }) {
    const { projectId, role } = client.settings;
    const name = role ?? defaultRole(projectId);
    if (role === null) await ensureDefaultRole({ client }, projectId, name);
    return { projectId, role: name };
  },
};

async function ensureDefaultRole({ client }: Pick<Ctx, "client">, projectId: string, name: string): Promise<void> {
  try {
    const known = await client.getRole(name);
    if (!known) await client.createRole(projectId, defaultRoleId, roleText);
    if (!known?.deleted) return;
  } catch (error) {
    if (isTaken(error)) return;
    // Who may neither read nor make roles was given one by a person: the policy says whether it is there.
    if (isForbidden(error) && !isServiceOff(error)) return;
    throw error;
  }
  throw new KeyGateError("vendor.refused", {
    detail: `The role ${name} was deleted. Undelete it (its name stays blocked), or configure another role.`,
    nothingHappened: true,
  });
}

const roleText = {
  title: "KeyGate: Vertex AI caller",
  description: "May call models and count tokens. Given to the service accounts that KeyGate makes.",
  permissions: [callPermission],
};

/** The grant's end for a key, as Google's conditions have it. */
function endFor({ key, now }: Ctx): string | null {
  if (key.expiresAt && key.expiresAt <= now()) {
    throw new KeyGateError("vendor.refused", {
      detail: "The key's expiry passed before it could be made.",
      nothingHappened: true,
    });
  }
  return key.expiresAt && wholeSeconds(key.expiresAt);
}

const wordsOf = (error: unknown) => (error instanceof KeyGateError ? (error.detail ?? error.title) : "no reason given");

async function grant(ctx: Ctx, state: GoogleState, until: string | null): Promise<void> {
  const { email, projectId } = requireAccount(state);
  const role = must(state.role, "role");
  try {
    await ctx.client.changePolicy(projectId, (bindings) => withGrant(bindings, { email, role, until }));
  } catch (error) {
    // Of a new account the policy says that there is no such thing. An organization policy that forbids the grant is
    // as final for a new account as for an old one.
    const isUnknown = (isBadRequest(error) || isGone(error)) && !isPrecondition(error);
    if (isUnknown && isYoung(ctx, state, saysNotThere(error) ? unknownForMs : unclearForMs)) {
      const reason = `the project's IAM policy does not know the new service account yet (${wordsOf(error)})`;
      throw new WaitForVendor(pauseFor(ctx, state), reason);
    }
    throw error;
  }
}

/** Before the key: what Google needs minutes to spread is under way while the key is made. */
export const addBinding: GoogleStep = {
  name: "add-binding",
  onFound: "repeat",
  find: null,
  undo: ({ client }, state) => removeGrant(client, state),
  async run(ctx, state) {
    const accessUntil = endFor(ctx);
    await grant(ctx, state, accessUntil);
    return { accessUntil };
  },
};

/** Takes the account's grant out of the policy, in whichever spelling, and looks. */
export async function removeGrant(client: Ctx["client"], state: GoogleState): Promise<void> {
  const { email, projectId } = requireAccount(state);
  const role = must(state.role, "role");
  await client.changePolicy(projectId, (bindings) => withoutGrant(bindings, { email, role }));
}

/** The later of two ends; null is no end. */
const laterOf = (a: string | null, b: string | null) =>
  a === null || b === null ? null : Date.parse(a) >= Date.parse(b) ? a : b;

/** A successor that lives longer needs the grant for longer; one that lives shorter leaves the old key its time. */
export const extendBinding: GoogleStep = {
  name: "extend-binding",
  onFound: "repeat",
  find: null,
  async run(ctx, state) {
    const before = state.accessUntil ?? null;
    const accessUntil = laterOf(before, endFor(ctx));
    await grant(ctx, state, accessUntil);
    return { accessUntil, accessUntilBefore: before };
  },
  async undo({ client }, state) {
    const { email, projectId } = requireAccount(state);
    const role = must(state.role, "role");
    const until = state.accessUntilBefore !== undefined ? state.accessUntilBefore : (state.accessUntil ?? null);
    // Where somebody took the grant away meanwhile, the old key was revoked: nothing must come back.
    await client.changePolicy(projectId, (bindings) =>
      hasGrant(bindings, { email, role }) ? withGrant(bindings, { email, role, until }) : null,
    );
  },
};
