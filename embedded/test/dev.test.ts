import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, utimesSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { freePort, isPortFree } from "../src/free-port.ts";
import { tempDir, until } from "./harness.ts";

const root = resolve(import.meta.dirname, "../..");

test("npm run dev serves api and dashboard, starts the api again when a file of it changes, and leaves nothing after Ctrl-C", async () => {
  const [port, webPort] = [await freePort(), await freePort()];
  const args = ["embedded/src/dev.ts", "--port", String(port), "--web-port", String(webPort)];
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, KEYGATE_HOME: tempDir() };
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGTERM"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const is = (what: string, condition: () => boolean) =>
    until(`${what}:\n${output}`, () => {
      if (child.exitCode !== null) throw new Error(`It ended:\n${output}`);
      return condition();
    });
  await is("it is up", () => output.includes("follows your changes"));

  const web = `http://localhost:${webPort}`;
  expect(await (await fetch(`${web}/`)).text()).toContain('id="root"');
  // Through Vite to the API.
  const version = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;
  expect(await (await fetch(`${web}/openapi.json`)).json()).toMatchObject({ info: { version } });

  const starts = () => output.split('"api.listening"').length - 1;
  expect(starts()).toBe(1);
  // Only the time of change: the file stays as it is.
  utimesSync(join(root, "api/src/app.ts"), new Date(), new Date());
  await is("the api started again", () => starts() >= 2);

  child.kill("SIGINT");
  const [code] = await once(child, "exit");
  expect(code, output).toBe(0);
  expect(output).toContain("Stopped.");
  expect(await Promise.all([isPortFree(port), isPortFree(webPort)])).toEqual([true, true]);
});
