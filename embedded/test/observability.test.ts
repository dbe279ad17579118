import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type ServerMode, startServerMode } from "../test-support/server-mode.ts";

interface SentSpan {
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  kind: number;
  facts: Record<string, unknown>;
  failed: boolean;
  links: { traceId: string }[];
}

const root = resolve(import.meta.dirname, "../..");
// The numbers that OTLP gives to kinds of spans, and to the status of one that failed.
const [server, client, producer, consumer] = [2, 3, 4, 5];
const failedStatus = 2;
const token = "collector-token-of-this-test";

// biome-ignore lint/suspicious/noExplicitAny: OTLP's JSON, read member by member
function spansOf(body: any): SentSpan[] {
  // biome-ignore lint/suspicious/noExplicitAny: see above
  const factsOf = (attributes: any[]) =>
    Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
  // biome-ignore lint/suspicious/noExplicitAny: see above
  return body.resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
    // biome-ignore lint/suspicious/noExplicitAny: see above
    scopeSpans.flatMap(({ spans }: any) =>
      // biome-ignore lint/suspicious/noExplicitAny: see above
      spans.map((span: any) => ({
        service: factsOf(resource.attributes)["service.name"],
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? "",
        name: span.name,
        kind: span.kind,
        facts: factsOf(span.attributes ?? []),
        failed: span.status?.code === failedStatus,
        links: span.links ?? [],
      })),
    ),
  );
}

/** A collector on loopback that keeps what it is sent. */
async function startCollector() {
  const bodies: string[] = [];
  const authorizations: unknown[] = [];
  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.url === "/v1/traces") {
      bodies.push(Buffer.concat(chunks).toString());
      authorizations.push(request.headers.authorization);
    }
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const address = http.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    bodies,
    authorizations,
    spans: () => bodies.flatMap((body) => spansOf(JSON.parse(body))),
    close: async () => {
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
    },
  };
}

describe("traces and metrics, as collectors receive them", () => {
  let collector: Awaited<ReturnType<typeof startCollector>>;
  let mode: ServerMode;

  beforeAll(async () => {
    collector = await startCollector();
    mode = await startServerMode("redis", {
      apis: 1,
      workers: 1,
      env: {
        METRICS_PORT: "0",
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${token}`,
      },
    });
  });
  afterAll(async () => {
    await mode.close();
    await collector.close();
  });

  const traceOf = async (traceId: string, isWhole: (spans: SentSpan[]) => boolean): Promise<SentSpan[]> =>
    await vi.waitFor(
      () => {
        const spans = collector.spans().filter((span) => span.traceId === traceId);
        expect(isWhole(spans), spans.map((span) => span.name).join(", ")).toBe(true);
        return spans;
      },
      { timeout: 30_000, interval: 100 },
    );

  it("show one provisioning as one trace, from the caller's own span to the last vendor call, and no secret", async () => {
    const [api] = mode.apis;
    if (!api) throw new Error("one API was asked for");
    const who = await api.call("POST", "/api/v1/developers", { name: "Ada", email: "ada@acme.test" });
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const callers = "00f067aa0ba902b7";
    const made = await api.call(
      "POST",
      "/api/v1/keys/provision",
      { developer_id: who.body.id, vendor: "openai", models_allowed: ["gpt-4o"] },
      { traceparent: `00-${traceId}-${callers}-01` },
    );
    expect(made.status).toBe(200);

    const spans = await traceOf(
      traceId,
      (all) => all.some(({ kind }) => kind === consumer) && all.some(({ kind }) => kind === server),
    );
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const ancestors = (span: SentSpan): SentSpan[] => {
      const parent = byId.get(span.parentSpanId);
      return parent ? [parent, ...ancestors(parent)] : [];
    };
    const [request] = spans.filter((span) => span.kind === server);
    expect(request).toMatchObject({
      service: "keygate-api",
      name: "POST /api/v1/keys/provision",
      parentSpanId: callers,
      facts: { "http.response.status_code": 200, "http.route": "/api/v1/keys/provision" },
    });
    // Everything hangs together: below the request there is no span whose parent is missing.
    for (const span of spans) if (span !== request) expect(ancestors(span), span.name).toContain(request);

    const job = spans.find((span) => span.kind === consumer);
    expect(job).toMatchObject({
      service: "keygate-worker",
      name: "job provision",
      facts: { "keygate.job_id": made.body.job_id, "keygate.vendor": "openai" },
    });
    expect(spans.some((span) => span.kind === producer)).toBe(true);
    const calls = spans.filter((span) => span.kind === client);
    for (const call of calls) {
      expect(ancestors(call)).toContain(job);
      expect(ancestors(call)[0]?.name, call.name).toMatch(/^(run|find) /);
    }
    // From the project, the first that the vendor hears of, to the key itself.
    expect(calls.map((call) => call.name)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^POST .*projects$/), expect.stringMatching(/service_accounts$/)]),
    );
    expect(calls.every((call) => call.facts["http.response.status_code"] === 200)).toBe(true);
    expect(collector.authorizations.every((value) => value === `Bearer ${token}`)).toBe(true);
    for (const secret of [String(made.body.api_key), mode.adminKey]) {
      expect(collector.bodies.filter((body) => body.includes(secret))).toEqual([]);
    }
    // An operator finds the trace of a log line, and a log line never tells the collector's token.
    const logs = (await mode.everythingKept()).filter((text) => /^(api|worker)-\d/.test(text));
    expect(
      logs
        .filter((text) => text.includes(traceId))
        .map((text) => text.slice(0, 3))
        .sort(),
    ).toEqual(["api", "wor"]);
    expect(logs.filter((text) => text.includes(token))).toEqual([]);
  });

  it("mark what failed with its code, in the vendor's call, the step and the job", async () => {
    const [api] = mode.apis;
    if (!api) throw new Error("one API was asked for");
    mode.openai.faults.add({
      match: { path: "/organization/projects$", method: "POST" },
      times: 1,
      when: "before",
      do: { type: "respond", status: 500 },
    });
    const who = await api.call("POST", "/api/v1/developers", { name: "Eve", email: "eve@acme.test" });
    const traceId = "5bf92f3577b34da6a3ce929d0e0e4737";
    const made = await api.call(
      "POST",
      "/api/v1/keys/provision",
      { developer_id: who.body.id, vendor: "openai", models_allowed: ["gpt-4o"] },
      { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, prefer: "wait=60" },
    );
    expect(made.status).toBe(200);
    const spans = await traceOf(traceId, (all) => all.filter(({ kind }) => kind === consumer).length >= 2);
    const failed = spans.filter((span) => span.failed);
    expect(failed.map((span) => span.facts["error.type"])).toEqual(
      expect.arrayContaining(["500", expect.stringMatching(/^vendor\./)]),
    );
    expect(failed.map((span) => span.name)).toContain("job provision");
  });

  it("stand beside metrics: all that the dashboard and the alerts ask for is served, by labels that exist", async () => {
    const [api] = mode.apis;
    if (!api) throw new Error("one API was asked for");
    const { body: keys } = await api.call("GET", "/api/v1/keys");
    const revoked = await api.call("POST", `/api/v1/keys/${(keys as unknown as { id: string }[])[0]?.id}/revoke`);
    expect(revoked.status).toBe(200);
    const logs = (await mode.everythingKept()).filter((text) => /^(api|worker)-\d/.test(text));
    const ports = logs.flatMap((text) => /"port":(\d+),"msg":"metrics.listening"/.exec(text)?.[1] ?? []);
    expect(ports).toHaveLength(2);
    const pages = await Promise.all(
      ports.map(async (port) => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
    );
    const served = new Map(
      [...pages.join("\n").matchAll(/^(\w+)(?:\{(.*)\})? /gm)].map(([, name = "", labels = ""]) => [name, labels]),
    );
    const described = new Set([...pages.join("\n").matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name));
    const asked = ["deploy/prometheus/alerts.yml", "deploy/grafana/keygate.json"]
      .map((file) => readFileSync(resolve(root, file), "utf8"))
      .join("\n");
    const names = [...asked.matchAll(/\b(?:keygate|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name);
    expect(new Set(names).size).toBeGreaterThan(15);
    for (const name of names) expect(described, name).toContain(name.replace(/_(?:bucket|count|sum)$/, ""));
    // What a vendor call, a step and a revocation leave, once there were some.
    for (const name of ["keygate_vendor_call_seconds_count", "keygate_step_seconds_count", "keygate_job_tries_total"]) {
      expect(served.get(name), name).toContain('vendor="openai"');
    }
    expect(pages.join("\n")).toMatch(/keygate_job_tries_total\{vendor="openai",kind="revoke",outcome="ended"\} 1/);
    expect(pages.join("\n")).toMatch(/keygate_keys\{vendor="openai",status="revoked"\} 1/);
  });
});

it("cost nothing when nobody asked for them: OpenTelemetry is not loaded", () => {
  const script = (config: string) => `
    import { registerHooks } from "node:module";
    const seen = [];
    registerHooks({ resolve(name, context, next) { if (name.startsWith("@opentelemetry/")) seen.push(name); return next(name, context); } });
    const { startTracing } = await import("./shared/src/tracing.ts");
    await import("./shared/src/log.ts");
    await import("./worker/src/saga/run.ts");
    const tracing = await startTracing(${config}, { name: "x", version: "1" }, () => {});
    await tracing.close();
    console.log(seen.length);`;
  const load = (config: string) =>
    Number(execFileSync(process.execPath, ["--input-type=module", "-e", script(config)], { cwd: root }).toString());
  expect(load("null")).toBe(0);
  expect(load(`{ endpoint: "http://127.0.0.1:1", headers: null, sampleRatio: 1 }`)).toBeGreaterThan(3);
});
