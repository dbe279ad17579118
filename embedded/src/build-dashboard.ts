import { execFile } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const root = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

const sources = ["web/src", "web/public", "web/index.html", "web/vite.config.ts", "shared/src", "package-lock.json"];

/** Whether there is a dashboard that was built from what lies here now, and not from an earlier version of it. */
export function isDashboardBuilt(checkout: string): boolean {
  const builtAt = statSync(join(checkout, "web/dist/index.html"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const isNewer = (path: string): boolean => {
    const entry = statSync(path, { throwIfNoEntry: false });
    if (!entry?.isDirectory()) return (entry?.mtimeMs ?? 0) > builtAt;
    return readdirSync(path).some((name) => isNewer(join(path, name)));
  };
  return builtAt > 0 && !sources.some((path) => isNewer(join(checkout, path)));
}

/** Builds the dashboard when it or its sources are new. Without it the API still runs, and says what is missing. */
export async function buildDashboard(say: (line: string) => void): Promise<void> {
  if (isDashboardBuilt(root)) return;
  const vite = join(root, "node_modules/vite/bin/vite.js");
  say("Building the dashboard …");
  try {
    await run(process.execPath, [vite, "build", "web"], {
      cwd: root,
      env: { ...process.env, NODE_ENV: "production" },
    });
  } catch (error) {
    say(
      `The dashboard could not be built, so only the API is there. To see why: npm run build (${String(error).slice(0, 200)})`,
    );
  }
}
