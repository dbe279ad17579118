import { createHash } from "node:crypto";
import type { KeyId } from "./contracts/ids.ts";
import type { VendorContract } from "./contracts/vendors/vendor-contract.ts";

const markLength = 6;
// No vowels and no look-alikes: six characters that spell nothing and survive being read aloud.
const alphabet = "bcdfghjkmnpqrstvwxz23456789";

/** Six characters that follow from the key's id and the try, so that a lost resource can be found by its name. */
function markOf(keyId: KeyId, attempt: number): string {
  const digest = createHash("sha256").update(`${keyId}/${attempt}`).digest();
  return Array.from(digest.subarray(0, markLength), (byte) => alphabet[byte % alphabet.length]).join("");
}

/** Lower-case letters, digits and single dashes; empty when nothing of the text can be written that way. */
export function slugOf(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/ß/g, "ss")
    .replace(/[øØ]/g, "o")
    .replace(/[æÆ]/g, "ae")
    .replace(/[łŁ]/g, "l")
    .toLowerCase()
    .replace(/['’]/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
}

/**
 * `keygate-{team}-{developer}-{6 characters}` within the vendor's length. A name that has no Latin letters is told by
 * the e-mail's local part instead.
 *
 * @param attempt counts up when a name turned out to be taken.
 */
export function projectNameFor(
  naming: VendorContract["naming"],
  who: { team: string; name: string; email: string },
  keyId: KeyId,
  attempt: number,
): string {
  const mark = markOf(keyId, attempt);
  const room = naming.maxLength - "keygate-".length - 1 - markLength;
  const developer = slugOf(who.name) || slugOf(who.email.split("@")[0] ?? "") || "developer";
  const team = slugOf(who.team) || "default";
  // The developer is what people look for: the team gets at most a third when room is short.
  const teamRoom = Math.min(team.length, Math.max(Math.floor(room / 3), room - developer.length - 1));
  const trim = (text: string, length: number) => text.slice(0, Math.max(1, length)).replace(/-+$/, "");
  const shortTeam = trim(team, teamRoom);
  const shortDeveloper = trim(developer, room - shortTeam.length - 1);
  return `keygate-${shortTeam}-${shortDeveloper}-${mark}`;
}
