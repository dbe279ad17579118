import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { endDaemon, setprivPath, startDaemon } from "../src/daemon.ts";
import { isAlive } from "../src/processes.ts";
import { until } from "./harness.ts";

const daemonModule = join(import.meta.dirname, "..", "src", "daemon.ts");

const watches = [...(setprivPath() ? (["pdeathsig"] as const) : []), "pipe" as const];

test.for(watches)("a daemon ends after the SIGKILL of its owner, noticed by %s", async (ownerWatch) => {
  const script = `
    import { startDaemon } from ${JSON.stringify(daemonModule)};
    const options = { file: "sleep", args: ["600"], stdio: "ignore", onOwnerDeath: "SIGTERM", ownerWatch: ${JSON.stringify(ownerWatch)} };
    console.log((await startDaemon(options)).pid);
    setInterval(() => {}, 60_000);`;
  const owner = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void owner.kill("SIGKILL"));
  const pid = await new Promise<number>((resolve) => {
    createInterface({ input: owner.stdout }).once("line", (line) => resolve(Number(line)));
  });
  expect(isAlive(pid)).toBe(true);
  owner.kill("SIGKILL");
  await until("the daemon is gone", () => !isAlive(pid));
});

test("a daemon does not keep its owner from ending", async () => {
  const script = `
    import { startDaemon } from ${JSON.stringify(daemonModule)};
    await startDaemon({ file: "sleep", args: ["600"], stdio: "ignore", onOwnerDeath: "SIGTERM" });`;
  const owner = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
  onTestFinished(() => void owner.kill("SIGKILL"));
  expect(await new Promise((resolve) => owner.once("exit", resolve))).toBe(0);
});

test("a daemon that ignores the first signal gets the next one", async () => {
  const daemon = await startDaemon({
    file: "/bin/sh",
    args: ["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
    stdio: ["ignore", "pipe", "ignore"],
    onOwnerDeath: "SIGTERM",
  });
  await new Promise((resolve) => daemon.process.stdout?.once("data", resolve));
  await endDaemon(daemon, [
    ["SIGTERM", 50],
    ["SIGKILL", 60_000],
  ]);
  expect(await daemon.exited).toBe("signal SIGKILL");
});

test("a program that does not exist is an error that names it", async () => {
  const start = startDaemon({
    file: "/no/such/program",
    args: [],
    stdio: "ignore",
    onOwnerDeath: "SIGTERM",
    ownerWatch: "pipe",
  });
  await expect(start).rejects.toThrow("/no/such/program");
});
