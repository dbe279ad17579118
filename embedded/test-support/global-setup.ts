import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { withClient } from "../src/postgres-ready.ts";
import { startPostgres, testPostgresSettings } from "../src/postgres-server.ts";
import { findRedisServer, installRedisServer, redisHint, startRedis } from "../src/redis-server.ts";
import { templateName } from "./database.ts";
import "./provided.ts";

/** One PostgreSQL, with the migrated template, and one Redis for the whole test run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), "keygate-test-"));
  const teardown: (() => Promise<void>)[] = [async () => rmSync(dir, { recursive: true, force: true, maxRetries: 20 })];
  const tearDown = async () => {
    for (const undo of teardown.splice(0).reverse()) await undo();
  };
  try {
    chmodSync(dir, 0o711); // PostgreSQL's user passes through it without needing a privilege for that
    const startedAt = performance.now();
    const postgres = await startPostgres({
      dataDir: join(dir, "postgres"),
      user: "keygate",
      password: "keygate-test",
      database: templateName,
      settings: testPostgresSettings,
      say: console.log,
    });
    teardown.push(() => postgres.stop("immediate"));
    await makeTemplate(postgres.url);
    const redis = await provideRedis(dir);
    if (redis.server) teardown.push(redis.server.stop);
    project.provide("postgresUrl", postgres.url.replace(/[^/]*$/, "postgres"));
    project.provide("redisUrl", redis.server?.url ?? null);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(`Tests use PostgreSQL on port ${postgres.port}, ${redis.about} (ready in ${seconds} s).`);
    return tearDown;
  } catch (error) {
    await tearDown();
    throw error;
  }
}

async function makeTemplate(url: string): Promise<void> {
  const { migrateToLatest } = await import("@keygate/migrations/migrate");
  await migrateToLatest(url);
  // A template must have no connections while it is copied: from here on it allows none.
  const maintenance = url.replace(/[^/]*$/, "postgres");
  await withClient(maintenance, (client) =>
    client.query(`alter database ${templateName} with is_template true allow_connections false`),
  );
}

async function provideRedis(dir: string) {
  const found = findRedisServer() !== null;
  const program = await installRedisServer().catch((error) => {
    console.error(String(error));
    return null;
  });
  if (!program) return { server: null, about: `no Redis: ${redisHint}` };
  const server = await startRedis({ dir: join(dir, "redis") });
  return { server, about: `${found ? "" : "the newly installed "}${program} on port ${server.port}` };
}
