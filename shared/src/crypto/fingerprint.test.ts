import { generateKeyPairSync, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Secret } from "../secret.ts";
import { createKeyring } from "./envelope.ts";
import { fingerprintCandidates, fingerprintsOf, hintOf } from "./fingerprint.ts";

const keyring = createKeyring([new Secret(randomBytes(32).toString("hex"))]);

/** A service account's file like Google's, with a key of its own. */
function makeFile() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const private_key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return {
    type: "service_account",
    private_key_id: randomBytes(20).toString("hex"),
    private_key,
    universe_domain: "googleapis.com",
  };
}

const matches = (pasted: string, issued: string) => {
  const stored = fingerprintsOf(new Secret(issued), keyring);
  return fingerprintCandidates(new Secret(pasted), keyring).some((candidate) => stored.includes(candidate));
};

describe("fingerprints of a service account's file", () => {
  const file = makeFile();
  const issued = JSON.stringify(file, null, 2);

  it.each([
    ["as it was handed over", issued],
    ["minified", JSON.stringify(file)],
    ["as a string within JSON", JSON.stringify({ credentials: issued })],
    ["as its private key alone", file.private_key],
  ])("find it again %s", (_how, pasted) => {
    expect(matches(pasted, issued)).toBe(true);
  });

  it("do not take one file for another, though both end alike", () => {
    expect(matches(JSON.stringify(makeFile(), null, 2), issued)).toBe(false);
  });

  it("leave a hint that tells files apart and has nothing of the private key", () => {
    expect(hintOf(new Secret(issued))).toBe(`JSON key ...${file.private_key_id.slice(-4)}`);
  });
});

it("finds a plain key by its whole and by its last 16 characters, and no other", () => {
  const key = `sk-svcacct-${randomBytes(24).toString("base64url")}`;
  expect(matches(` ${key}\n`, key)).toBe(true);
  expect(matches(key.slice(-16), key)).toBe(true);
  expect(matches(key.slice(-15), key)).toBe(false);
  expect(matches(`sk-svcacct-${randomBytes(24).toString("base64url")}`, key)).toBe(false);
});
