import { inspect } from "node:util";
import { must } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import { expect } from "vitest";
import type { Held, World } from "./conformance-world.ts";

/** Exactly these keys work. */
export async function expectExactly({ fixture }: World, held: readonly Held[]): Promise<void> {
  const digests = held.map(({ secret }) => fixture.digest(secret)).sort();
  expect(fixture.liveKeys().sort(), "keys that work at the vendor").toEqual(digests);
  for (const { secret, instructions } of held) expect(await fixture.use(secret, instructions)).toBe("accepted");
}

/** No key works, and nothing of ours stands. */
export async function expectNothing({ fixture }: World): Promise<void> {
  expect(fixture.liveKeys(), "keys after the end").toEqual([]);
  expect(fixture.leftovers(), "what stands after the end").toEqual([]);
}

/** The piece of a secret that is searched for: long enough to be no chance, within one line of a file, without its marks. */
const tellTaleOf = (secret: Secret): string =>
  must((secret.reveal().match(/[\w+/-]{16,}/g) ?? []).sort((a, b) => b.length - a.length)[0], "a run").slice(4, 44);

/** No secret, neither issued nor the admin's, in anything that is kept or logged. */
export function expectDiscretion({ secrets, seen }: World, kept: unknown): void {
  const texts = [JSON.stringify(kept), inspect(seen, { depth: 12, showHidden: true, maxStringLength: null })];
  for (const tale of new Set(secrets.map(tellTaleOf))) {
    for (const text of texts) expect(text.includes(tale), "a secret in state, journal, report or error").toBe(false);
  }
}
