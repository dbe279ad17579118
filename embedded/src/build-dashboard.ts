import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const root = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Builds the dashboard unless that was done before. Without it the API still runs, and says what is missing. */
export async function buildDashboardOnce(say: (line: string) => void): Promise<void> {
  if (existsSync(join(root, "web/dist/index.html"))) return;
  const vite = join(root, "node_modules/vite/bin/vite.js");
  say("Building the dashboard (once) …");
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
