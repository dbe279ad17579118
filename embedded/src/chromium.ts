import { canInstall, installPackages } from "./apt.ts";
import { findProgram } from "./find-program.ts";

const names = [
  "chromium",
  "chromium-browser",
  "google-chrome-stable",
  "google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** What a caller prints, in one line, when there is no browser and none can be installed. */
export const chromiumHint =
  "No Chromium found: install it (Debian: apt-get install chromium; macOS: brew install --cask chromium).";

/** The path of a Chromium or Chrome on this machine, or null. */
export function findChromium(): string | null {
  return findProgram(names);
}

/** Finds a Chromium, installing one where apt-get exists and we are root. Null where that cannot be done; rejects when it fails. */
export async function installChromium(): Promise<string | null> {
  const found = findChromium();
  if (found || !canInstall()) return found;
  await installPackages("chromium", "fonts-liberation"); // without any font, pages are drawn without text
  return findChromium();
}
