import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ConfigError, loadConfig } from "./config.ts";

const strong = () => randomBytes(32).toString("hex");
const base = () => ({
  DATABASE_URL: "postgres://keygate@localhost/keygate",
  SECRET_KEY: strong(),
  ENCRYPTION_KEY: strong(),
});

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe("the configuration", () => {
  it.each([
    ["hexadecimal", () => randomBytes(16).toString("hex")],
    ["base64", () => randomBytes(48).toString("base64")],
    ["random behind a speaking prefix", () => `keygate-test-secret-${randomBytes(16).toString("hex")}`],
  ])("takes a secret that is %s", (_how, make) => {
    expect(problemsOf({ ...base(), SECRET_KEY: make(), ENCRYPTION_KEY: `${make()},${make()}` })).toEqual([]);
  });

  it.each([
    "changeme",
    "changeme-changeme-changeme-changeme-changeme",
    "your-super-secret-key-please-change-me-now",
    "my-very-long-secret-encryption-key-value-here",
    "0123456789012345678901234567890123456789",
    "a".repeat(64),
    "abcabcabcabcabcabcabcabcabcabcabcabcabc",
  ])("refuses the secret %s, by name and without its value", (value) => {
    for (const name of ["SECRET_KEY", "ENCRYPTION_KEY"]) {
      const problems = problemsOf({ ...base(), [name]: value });
      expect(problems).not.toEqual([]);
      expect(problems.every((line) => line.startsWith(`${name}: `))).toBe(true);
      expect(problems.join()).not.toContain(value);
    }
  });

  it.each(["changeme", "changeme1234", "admin-password", "Password1234!", "keygate-admin-12"])(
    "refuses the first admin's password %s",
    (value) => {
      const env = { ...base(), ADMIN_EMAIL: "ada@example.com", ADMIN_PASSWORD: value };
      expect(problemsOf(env)).toContain("ADMIN_PASSWORD: is a sample or too easy to guess");
    },
  );

  it("takes a password of words that nobody else has", () => {
    const env = { ...base(), ADMIN_EMAIL: "ada@example.com", ADMIN_PASSWORD: "purple-monkey-dish" };
    expect(problemsOf(env)).toEqual([]);
  });

  it("names everything that is wrong at once", () => {
    const problems = problemsOf({ DATABASE_URL: "mysql://x", PORT: "high", ADMIN_EMAIL: "ada@example.com" });
    for (const name of ["DATABASE_URL", "SECRET_KEY", "ENCRYPTION_KEY", "PORT"]) {
      expect(problems.some((line) => line.startsWith(`${name}:`))).toBe(true);
    }
  });
});
