import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../../..");
const page = readFileSync(join(root, "docs/promises.md"), "utf8");
const sections = page.split(/^## /m).slice(1);
const named = [...page.matchAll(/^- `([^`]+)`: "([^"]+)"/gm)].map(([, file = "", title = ""]) => ({ file, title }));

/** The titles of a file's tests as they stand in it, whatever calls them. */
const titlesOf = (file: string) =>
  new Set(
    [...readFileSync(join(root, file), "utf8").matchAll(/"((?:[^"\\\n]|\\.)+)"|`([^`]+)`/g)].map(([, a, b]) => a ?? b),
  );

describe("docs/promises.md", () => {
  it("has all seven promises, each with three tests or more", () => {
    expect(sections.map((section) => /^\d+/.exec(section)?.[0])).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
    for (const section of sections) expect(section.match(/^- `/gm)?.length ?? 0).toBeGreaterThanOrEqual(3);
  });

  it("names only tests that exist", () => {
    expect(named.length).toBe(page.match(/^- `/gm)?.length);
    const absent = named.filter(({ file, title }) => !existsSync(join(root, file)) || !titlesOf(file).has(title));
    expect(absent).toEqual([]);
  });
});
