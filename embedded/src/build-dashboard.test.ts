import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { isDashboardBuilt } from "./build-dashboard.ts";

const checkout = mkdtempSync(join(tmpdir(), "keygate-dashboard-"));
afterAll(() => rmSync(checkout, { recursive: true }));

function write(path: string, atSeconds: number): void {
  const file = join(checkout, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "");
  utimesSync(file, atSeconds, atSeconds);
}

test("a dashboard that was built from earlier sources is built again", () => {
  write("web/src/routes/overview.tsx", 1_000);
  expect(isDashboardBuilt(checkout)).toBe(false);
  write("web/dist/index.html", 2_000);
  expect(isDashboardBuilt(checkout)).toBe(true);
  for (const path of ["web/src/routes/keys.tsx", "shared/src/contracts/keys.ts", "package-lock.json"]) {
    write(path, 3_000);
    expect(isDashboardBuilt(checkout), path).toBe(false);
    write(path, 1_000);
  }
  expect(isDashboardBuilt(checkout)).toBe(true);
});
