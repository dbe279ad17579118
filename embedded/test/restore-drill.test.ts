import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import "./harness.ts";

const script = join(import.meta.dirname, "../src/restore-drill.ts");

test("a database restored to an earlier hour: what only the vendor has is found, removed, and the rest lives on", async () => {
  const args = [script, "--keys", "2", "--later", "1", "--vendor", "openai"];
  // Rejects, with all that it printed, when a line does not hold.
  const { stdout } = await promisify(execFile)(process.execPath, args);
  for (const line of [
    "✓ the database knows 2 keys, as at the time of the backup",
    "✓ 1 keys that it does not know work at their vendors",
    "✓ openai: 1 of 1 unknown keys are found",
    "✓ the key that was revoked after the backup is found missing at its vendor",
    "✓ none of them works any more",
    "✓ the audit log is whole",
  ]) {
    expect(stdout).toContain(line);
  }
  expect(stdout).toMatch(/^ +\d+\.\d s {2}Comparing with the vendors$/m);
  expect(stdout).toContain("Every line holds (");
  expect(stdout).not.toMatch(/sk-(?:admin|proj|svcacct)-/);
});
