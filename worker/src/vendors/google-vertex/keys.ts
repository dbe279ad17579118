import { KeyGateError, must } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import { WaitForVendor } from "../../saga/wait.ts";
import { makeKeyPair, noEnd, selfSignedCertificate } from "./certificate.ts";
import type { AccountRef, GoogleClient, GoogleKey } from "./client.ts";
import { constraintsOf, isBadRequest, isFull, isGone, isPrecondition, isVagueLimit, saysNotThere } from "./errors.ts";
import { readdressKeyFile, writeKeyFile } from "./key-file.ts";
import { type Ctx, type GoogleState, type GoogleStep, isYoung, pauseFor, requireAccount } from "./state.ts";

/** Keys that people can make; Google allows no more on one account, ever. */
export const keysMax = 10;
const unknownForMs = 120_000;
const lookAgainMs = 1_000;
const clockSkewMs = 60_000;

type MadeKey = { key: GoogleKey; file: Secret; madeBy: "upload" | "create" };

/** Uploads the public half of a pair made here. The secret is known before the call, and the certificate has an end. */
async function uploadKey({ client, key, now }: Ctx, state: GoogleState): Promise<MadeKey> {
  const ref = requireAccount(state);
  const uniqueId = must(state.uniqueId, "uniqueId");
  const pair = await makeKeyPair();
  const certificate = selfSignedCertificate(pair, {
    name: uniqueId,
    notBefore: new Date(now().getTime() - clockSkewMs),
    notAfter: key.expiresAt ?? noEnd,
  });
  const uploaded = await client.uploadKey(ref, certificate);
  const { tokenUrl } = client.settings;
  const file = writeKeyFile(ref, { id: uploaded.id, uniqueId, privateKey: pair.privateKey, tokenUrl });
  return { key: uploaded, file, madeBy: "upload" };
}

async function createKeyAtGoogle({ client }: Ctx, state: GoogleState): Promise<MadeKey> {
  const made = await client.createKey(requireAccount(state));
  return { key: made.key, file: readdressKeyFile(made.file, client.settings.tokenUrl), madeBy: "create" };
}

const isAboutNewAccount = (error: unknown) =>
  isGone(error) || (isBadRequest(error) && !isPrecondition(error) && saysNotThere(error));

/** By upload where the organization allows it and Google likes the certificate, else made by Google. */
async function makeKey(ctx: Ctx, state: GoogleState): Promise<MadeKey> {
  try {
    return await uploadKey(ctx, state);
  } catch (uploading) {
    if (!isBadRequest(uploading) || isAboutNewAccount(uploading)) throw uploading;
    try {
      return await createKeyAtGoogle(ctx, state);
    } catch (creating) {
      const constraints = [...new Set([...constraintsOf(uploading), ...constraintsOf(creating)])];
      if (!isBadRequest(creating) || constraints.length === 0) throw creating;
      throw new KeyGateError("vendor.refused", {
        detail: `Organization policies forbid service account keys in this project: ${constraints.join(", ")}. An organization policy administrator can make an exception for the project; it takes up to 20 minutes to act.`,
        nothingHappened: true,
        facts: { constraints },
      });
    }
  }
}

/** For a short while keys of a new account are refused as if it did not exist: surely nothing was made then. */
async function makeKeyWhenKnown(ctx: Ctx, state: GoogleState): Promise<MadeKey> {
  try {
    return await makeKey(ctx, state);
  } catch (error) {
    if (!isAboutNewAccount(error) || !isYoung(ctx, state, unknownForMs)) throw error;
    throw new WaitForVendor(pauseFor(ctx, state), "Google makes no keys for the new account yet", {
      nothingHappened: true,
    });
  }
}

/**
 * The account belongs to one lineage of keys, so a key on it that the journal does not know was lost on the way to us:
 * its secret is nobody's, and it is removed before another is made.
 */
export const createKey: GoogleStep = {
  name: "create-key",
  onFound: "replace",
  delivers: true,
  async run(ctx, state) {
    const { client, key, now } = ctx;
    if (key.expiresAt && key.expiresAt <= now()) {
      throw new KeyGateError("vendor.refused", {
        detail: "The key's expiry passed before it could be made.",
        nothingHappened: true,
      });
    }
    let made: MadeKey;
    try {
      made = await makeKeyWhenKnown(ctx, state);
    } catch (error) {
      if (!(await isAboutRoom(client, state, error))) throw error;
      await makeRoom(client, state);
      made = await makeKeyWhenKnown(ctx, state);
    }
    const issued = await ctx.deliver(made.file);
    return { keyId: made.key.id, keyMadeBy: made.madeBy, keyValidUntil: made.key.validUntil, issued };
  },
  async find({ client }, state) {
    const [lost] = await unknownKeys(client, requireAccount(state), state.previousKeyIds ?? []);
    return lost === undefined ? null : { keyId: lost };
  },
  async undo({ client }, state) {
    const keep = state.previousKeyIds ?? [];
    const own = state.keyId !== undefined && !keep.includes(state.keyId) ? [state.keyId] : [];
    await endKeys(client, requireAccount(state), own, keep);
  },
};

/** Whether the account has all the keys it may have. A 429 need not say what it is about: then they are counted. */
async function isAboutRoom(client: GoogleClient, state: GoogleState, error: unknown): Promise<boolean> {
  if (isFull(error)) return true;
  if (!isVagueLimit(error)) return false;
  return ((await client.listKeys(requireAccount(state))) ?? []).length >= keysMax;
}

/** Google would have us wait a day for an account with ten keys; those that nobody has can go now. */
async function makeRoom(client: GoogleClient, state: GoogleState): Promise<void> {
  const ref = requireAccount(state);
  const keep = state.previousKeyIds ?? [];
  if ((await unknownKeys(client, ref, keep)).length === 0) {
    throw new KeyGateError("vendor.refused", {
      detail: `The service account has ${keysMax} keys, and Google allows no more. Revoke older keys of this developer first.`,
      nothingHappened: true,
    });
  }
  await endKeys(client, ref, [], keep);
}

/** Keys that stand on the account and are not among the known. The list lags, so each one is also asked for. */
async function unknownKeys(client: GoogleClient, ref: AccountRef, known: readonly string[]): Promise<string[]> {
  const listed = (await client.listKeys(ref)) ?? [];
  const unknown: string[] = [];
  for (const { id } of listed) {
    if (!known.includes(id) && (await client.getKey(ref, id))) unknown.push(id);
  }
  return unknown;
}

/** Disables and deletes the named keys and whatever else is listed, but for those to keep, and looks. */
export async function endKeys(
  client: GoogleClient,
  ref: AccountRef,
  named: readonly string[],
  keep: readonly string[],
): Promise<void> {
  const listed = (await client.listKeys(ref)) ?? [];
  const doomed = new Set([...named, ...listed.map(({ id }) => id).filter((id) => !keep.includes(id))]);
  for (const id of doomed) await endKey(client, ref, id);
  if ((await unknownKeys(client, ref, keep)).length > 0) {
    throw new WaitForVendor(lookAgainMs, "Google still shows keys on the service account");
  }
}

/** Disables one key, deletes it and looks. Disabling first: it ends new tokens even when the deletion is lost. */
export async function endKey(client: GoogleClient, ref: AccountRef, id: string): Promise<void> {
  try {
    await client.disableKey(ref, id);
  } catch (error) {
    // A key that Google itself disabled may not be disabled again; deleting it is what counts.
    if (!isBadRequest(error)) throw error;
  }
  await client.deleteKey(ref, id);
  if (await client.getKey(ref, id)) throw new WaitForVendor(lookAgainMs, "Google still shows the key");
}

/** Reads the key back. Whether its grant works everywhere yet is not waited for: that takes minutes. */
export const verifyKey: GoogleStep = {
  name: "verify-key",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const key = await ctx.client.getKey(requireAccount(state), must(state.keyId, "keyId"));
    if (!key) {
      if ((await ctx.stepAgeMs()) < unknownForMs) {
        throw new WaitForVendor(lookAgainMs, "Google does not show the new key yet");
      }
      throw new KeyGateError("vendor.refused", { detail: "Google does not show the key that it has just accepted." });
    }
    if (key.disabled) {
      throw new KeyGateError("vendor.refused", {
        detail: `Google or somebody there has disabled the new key (${key.disableReason ?? "no reason given"}).`,
      });
    }
    return { keyValidUntil: key.validUntil };
  },
};
