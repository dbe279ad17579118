import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { sealTo } from "@keygate/shared/crypto/sealing";
import type { JobRow } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";

const ttlSeconds = 120;

const macOf = ({ config }: Pick<ApiDeps, "config">, job: JobRow, rest: string): Buffer => {
  const key = Buffer.from(hkdfSync("sha256", config.secretKey.reveal(), "", "keygate/claim-challenge/v1", 32));
  return createHmac("sha256", key).update(`${job.id}.${job.delivery_key?.x}.${rest}`).digest();
};

/**
 * A challenge for whoever says that they hold the private half of a job's receiver. It is a text of ours, sealed to the
 * public half; nothing is kept, since we know our own text again.
 *
 * @throws claim.not_ready when the job makes no key.
 */
export async function makeChallenge(
  deps: Pick<ApiDeps, "config" | "clock">,
  job: JobRow,
): Promise<{ challenge: string; expires_at: string }> {
  if (!job.delivery_key) throw new KeyGateError("claim.not_ready", { detail: "This job makes no key." });
  const expiresAt = Math.floor(deps.clock().getTime() / 1000) + ttlSeconds;
  const rest = `${expiresAt}.${randomBytes(18).toString("base64url")}`;
  const proof = new Secret(`${rest}.${macOf(deps, job, rest).toString("base64url")}`);
  return {
    challenge: await sealTo(job.delivery_key, proof),
    expires_at: new Date(expiresAt * 1000).toISOString(),
  };
}

/** Whether the text is one of our challenges to this job's receiver, opened in time. */
export function isProof(deps: Pick<ApiDeps, "config" | "clock">, job: JobRow, proof: Secret): boolean {
  const [expiresAt = "", nonce = "", mac = ""] = proof.reveal().split(".");
  if (Number(expiresAt) * 1000 < deps.clock().getTime()) return false;
  const [expected, actual] = [macOf(deps, job, `${expiresAt}.${nonce}`), Buffer.from(mac, "base64url")];
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
