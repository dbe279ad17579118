import { timingSafeEqual } from "node:crypto";
import type { PublicJwk } from "@keygate/shared/contracts/common";
import { makeReceiverPair, publicHalfOf, sealTo } from "@keygate/shared/crypto/sealing";
import type { JobRow } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";

/** Whom a key is sealed for. */
export interface Receiver {
  key: PublicJwk;
  /** In the memory of one request only; null when the caller keeps it. */
  privateHalf: Secret | null;
}

/**
 * A receiver for one request: the caller's own public key, or a pair made for it.
 *
 * @throws request.invalid when nothing can be sealed to the caller's key (a point of low order): better now than after
 *   the vendor made a key.
 */
export async function receiverFor(delivery: { public_key: PublicJwk } | undefined): Promise<Receiver> {
  if (!delivery) {
    const { publicKey, privateHalf } = makeReceiverPair();
    return { key: publicKey, privateHalf };
  }
  const key = delivery.public_key;
  await sealTo(key, new Secret("probe")).catch((cause: unknown) => {
    const message = "Nothing can be sealed to this key";
    const errors = [{ field: "delivery.public_key", message }];
    throw new KeyGateError("request.invalid", { detail: `delivery.public_key: ${message}.`, errors, cause });
  });
  return { key, privateHalf: null };
}

/** The receiver that a claim token is the private half of; null when the text is none. */
export function receiverOfToken(token: Secret): Receiver | null {
  // The last character has two bits to spare: one spelling of the token for all that follows.
  const privateHalf = new Secret(Buffer.from(token.reveal(), "base64url").toString("base64url"));
  const key = publicHalfOf(privateHalf);
  return key && { key, privateHalf };
}

/** Whether the job's key is to be sealed for this receiver; in constant time. */
export function isReceiverOf(job: Pick<JobRow, "delivery_key">, receiver: Receiver): boolean {
  const [expected, actual] = [Buffer.from(job.delivery_key?.x ?? ""), Buffer.from(receiver.key.x)];
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
