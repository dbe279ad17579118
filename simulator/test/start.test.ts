import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { startVendorServer } from "../src/core.ts";
import { serverNames, startSimulator } from "../src/start.ts";
import { counterVendor, until } from "./counter-vendor.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const run = (...args: string[]) => spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });

describe("startSimulator", () => {
  it("starts what is asked for, with the environment that reaches it", async () => {
    const simulator = await startSimulator({ vendors: ["openai"] });
    expect(Object.keys(simulator.vendors)).toEqual(["openai"]);
    const answer = await fetch(`${simulator.env.OPENAI_BASE_URL}/organization/projects`, {
      headers: { authorization: `Bearer ${simulator.env.OPENAI_ADMIN_KEY}` },
    });
    expect(answer.status).toBe(200);
    await simulator.close();
    await expect(fetch(simulator.vendors.openai.url)).rejects.toThrow();
  });

  it("starts every vendor by default, each on a port of its own", async () => {
    const simulator = await startSimulator();
    expect(Object.keys(simulator.vendors).toSorted()).toEqual(serverNames().toSorted());
    const ports = Object.values(simulator.vendors).map((server) => server.port);
    expect(new Set(ports).size).toBe(ports.length);
    await simulator.close();
  });

  it("fails when a port is taken", async () => {
    const taken = await startVendorServer(counterVendor());
    await expect(startSimulator({ vendors: ["openai"], ports: { openai: taken.port } })).rejects.toThrow("EADDRINUSE");
    await taken.close();
  });
});

describe("the command", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("prints the environment and stops cleanly on %s", async (signal) => {
    const child = run();
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    await until(() => out.includes("OPENAI_ADMIN_KEY="));
    expect(out).toMatch(/^export OPENAI_BASE_URL=http:\/\/127\.0\.0\.1:\d+\/v1$/m);
    expect(out).toMatch(/^export OPENAI_ADMIN_KEY=sk-admin-/m);
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("explains itself, and refuses what it does not understand", async () => {
    expect((await once(run("--help"), "exit"))[0]).toBe(0);
    expect((await once(run("--port-base", "many"), "exit"))[0]).toBe(1);
    expect((await once(run("--unknown"), "exit"))[0]).toBe(1);
  });
});
