import { fingerprintCandidates, hintOf } from "@keygate/shared/crypto/fingerprint";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { keyRows, type OwnedKeyRow } from "@keygate/shared/db/keys";
import { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";

// A pasted log line has a few words that could be keys; a pasted file is not searched word by word.
const wordsMax = 50;
const shortestKey = 16;

/** The text as it is, and the words of it that could be keys: people paste the line in which they found one. */
function candidatesIn(text: string): string[] {
  const words = text.split(/[\s"'`=:,;()<>{}[\]]+/).filter((word) => word.length >= shortestKey);
  return [...new Set([text, ...words.slice(0, wordsMax)])];
}

export interface Finding {
  match: "fingerprint" | "hint";
  key: OwnedKeyRow;
}

/** Whose key is it? By fingerprint of the whole or of its last 16 characters; failing that, by how it begins and ends. */
export async function findBySecret(deps: ApiDeps, actor: Actor, text: Secret): Promise<Finding[]> {
  const candidates = candidatesIn(text.reveal()).map((word) => new Secret(word));
  const rows = keyRows(deps.db);
  const certain = await rows.findByFingerprint(candidates.flatMap((word) => fingerprintCandidates(word, deps.keyring)));
  const findings = certain.map((key): Finding => ({ match: "fingerprint", key }));
  if (findings.length === 0) {
    const hints = new Set(
      candidates
        .slice(0, 5)
        .map(hintOf)
        .filter((hint) => hint.length > "xxxx...".length),
    );
    const leads = await Promise.all([...hints].map((hint) => rows.findByHint(hint)));
    findings.push(...leads.flat().map((key): Finding => ({ match: "hint", key })));
  }
  await writeAudit(deps.db, {
    action: "key.find_by_secret",
    actor,
    resourceType: "key",
    resourceId: findings[0]?.key.id ?? "none",
    details: { outcome: "info", found: findings.map(({ match, key }) => ({ match, key_id: key.id })) },
  });
  return findings;
}
