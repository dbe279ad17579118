import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

// Daemons are often installed where an ordinary user's PATH does not look.
const extraFolders = [
  "/usr/local/bin",
  "/usr/bin",
  "/bin",
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
  "/opt/homebrew/bin",
];

/** The absolute path of the first of these programs (names or absolute paths) that exists and may be run, else null. */
export function findProgram(names: readonly string[]): string | null {
  const folders = [...(process.env.PATH ?? "").split(delimiter).filter(isAbsolute), ...extraFolders];
  for (const name of names) {
    const candidates = isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name));
    const found = candidates.find(isRunnable);
    if (found) return found;
  }
  return null;
}

function isRunnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
