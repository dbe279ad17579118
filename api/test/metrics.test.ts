import { randomBytes } from "node:crypto";
import { loadConfig } from "@keygate/shared/config";
import { openDatabase } from "@keygate/shared/db/client";
import { createLog } from "@keygate/shared/log";
import { addFigures, serveMetrics } from "@keygate/shared/metrics";
import { Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { createTestDatabase } from "../../embedded/test-support/database.ts";
import { startApi } from "../src/start-api.ts";

const log = createLog({ level: "silent", name: "test" });

async function running(given: Record<string, string>) {
  const database = await createTestDatabase();
  onTestFinished(database.drop);
  const secret = () => randomBytes(48).toString("base64");
  const config = loadConfig({
    DATABASE_URL: database.url,
    SECRET_KEY: secret(),
    ENCRYPTION_KEY: secret(),
    HOST: "127.0.0.1",
    PORT: "0",
    ...given,
  });
  const lines: { msg: string; port?: number }[] = [];
  const told = createLog({ level: "info", name: "test" }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const api = await startApi(config, told);
  onTestFinished(api.close);
  return { api, metricsPort: lines.find(({ msg }) => msg === "metrics.listening")?.port };
}

test("shows requests by the route's pattern, and the installation's figures, on a port of its own", async () => {
  const { api, metricsPort } = await running({ METRICS_PORT: "0" });
  await fetch(`${api.url}/health`);
  await fetch(`${api.url}/api/v1/keys/key_01k00000000000000000000000`);
  const answer = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
  const text = await answer.text();
  expect(answer.status).toBe(200);
  expect(text).toMatch(/keygate_http_request_seconds_count\{method="GET",route="\/health",status="200"\} 1/);
  expect(text).not.toContain("key_01k00000000000000000000000");
  expect(text).toContain("keygate_figures_up 1");
  expect(text).toContain("keygate_audit_unsealed_rows 0");
  expect(text).toContain('keygate_build_info{app="api"');
  expect(
    (await fetch(`${api.url}/metrics`, { headers: { accept: "text/plain" } })).headers.get("content-type"),
  ).not.toContain("version=0.0.4");
});

test("serves nothing unless METRICS_PORT says so", async () => {
  expect((await running({})).metricsPort).toBeUndefined();
});

test("says that the figures are missing, and shows none of them, when the database does not answer", async () => {
  const db = openDatabase({ url: "postgres://nobody:x@127.0.0.1:1/none", poolMax: 1, applicationName: "test" });
  onTestFinished(() => db.destroy());
  const registry = new Registry();
  const served = await serveMetrics(
    { port: 0, host: "127.0.0.1" },
    { registry, refresh: addFigures(registry, db, log) },
    log,
  );
  onTestFinished(served.close);
  const text = await (await fetch(`http://127.0.0.1:${served.port}/metrics`)).text();
  expect(text).toContain("keygate_figures_up 0");
  expect(text).not.toMatch(/^keygate_audit_unsealed_rows/m);
});
