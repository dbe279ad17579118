import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { OpenAiBooks } from "@keygate/simulator/openai-books";
import { expect, onTestFinished, test } from "vitest";
import { findProgram } from "../src/find-program.ts";
import { withClient } from "../src/postgres-ready.ts";
import { createTestDatabase } from "../test-support/database.ts";
import { startServerMode } from "../test-support/server-mode.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const blocksOf = (page: string, language: string) =>
  [...read(page).matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, "gm"))].map(([, text = ""]) => text);

test.skipIf(!findProgram(["curl"]))(
  "the five calls of the README make a key and revoke it, typed as they stand there",
  async () => {
    const mode = await startServerMode("postgres", { apis: 1, workers: 1 });
    onTestFinished(() => mode.close());
    const calls = blocksOf("README.md", "sh").find((text) => text.includes("/auth/login"));
    const [where, login, developer, provision, revoke, ...more] = (calls ?? "").trim().split("\n");
    expect(more).toEqual([]);
    const port = mode.apiProcesses[0]?.ready.port;
    const begin = [
      where?.replace("http://localhost:8000", `http://127.0.0.1:${port}`),
      login?.replace('"email":"…","password":"…"', `"email":"${mode.admin.email}","password":"${mode.admin.password}"`),
    ];
    const run = async (line = "", filled: Record<string, string> = {}) => {
      const typed = Object.entries(filled).reduce((text, [blank, value]) => text.replace(blank, value), line);
      expect(typed).not.toContain("…");
      const { stdout } = await promisify(execFile)("sh", ["-ec", [...begin, typed].join("\n")]);
      return JSON.parse(stdout);
    };
    const { id } = await run(developer);
    const key = await run(provision, { "dev-…": id });
    expect(key).toMatchObject({ vendor: "openai", budget_limit_usd: 50, api_key: expect.stringMatching(/^sk-/) });
    const live = () => (mode.openai.books() as OpenAiBooks).keys.filter((one) => one.live).length;
    expect(live()).toBe(1);
    expect(await run(revoke, { "key-…": key.key_id })).toMatchObject({ status: "revoked", key_id: key.key_id });
    expect(live()).toBe(0);
  },
  180_000,
);

test("PostgreSQL takes every statement that the docs show", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`);
  const shown = pages.flatMap((page) => [
    ...blocksOf(page, "sql"),
    ...[...read(page).matchAll(/`((?:alter|select|update|insert|delete) [^`]+)`/g)].map(([, text = ""]) => text),
  ]);
  expect(shown.length).toBeGreaterThan(2);
  await withClient(database.url, async (client) => {
    const { rows } = await client.query("select current_user as me");
    for (const text of shown) {
      // A role is the whole server's: nothing of it stays.
      await client.query("begin");
      await client.query(text.replaceAll("role keygate ", `role ${rows[0].me} `));
      await client.query("rollback");
    }
  });
});
