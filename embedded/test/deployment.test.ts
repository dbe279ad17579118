import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { configurationPage, secretVariableNames, variableNames } from "@keygate/shared/config-guide";
import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const yaml = (path: string) => parseYaml(read(path), { merge: true, logLevel: "error" });
const known = new Set(variableNames());
const compose = yaml("docker-compose.yml");
interface Service {
  restart: string;
  deploy: { resources: { limits: { memory: string } } };
  healthcheck?: { test?: unknown };
  networks?: string[];
  ports?: string[];
  read_only?: boolean;
  cap_drop?: string[];
}

const chart = "deploy/helm/keygate";

/** What compose itself sets or needs, beyond the configuration of our processes. */
const composeOnly = ["POSTGRES_PASSWORD", "REDIS_PASSWORD", "KEYGATE_VERSION", "BIND_ADDRESS"];
/** What the images or the compose file fix, so that nobody needs to pass it. */
const fixed = ["PORT", "HOST", "METRICS_PORT", "METRICS_HOST"];

test("docs/configuration.md is what the schema says", () => {
  expect(read("docs/configuration.md"), "run: npm run docs:config").toBe(configurationPage());
});

test("compose passes every variable that the configuration knows to a process that reads it, and no other", () => {
  const passed = new Set(["api", "worker"].flatMap((name) => Object.keys(compose.services[name].environment)));
  expect([...passed].filter((name) => !known.has(name))).toEqual([]);
  expect([...known].filter((name) => !passed.has(name) && !fixed.includes(name))).toEqual([]);
});

test("every variable that compose asks for is a known one, and every secret without which nothing may start is asked for", () => {
  const asked = [...read("docker-compose.yml").matchAll(/(?<!\$)\$\{(\w+)(:[?+-])?/g)];
  const names = asked.map(([, name = ""]) => name);
  expect(names.filter((name) => !known.has(name) && !composeOnly.includes(name))).toEqual([]);
  const required = new Set(asked.filter(([, , how]) => how === ":?").map(([, name]) => name));
  const secrets = [
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "ENCRYPTION_KEY",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "SECRET_KEY",
  ];
  expect([...required].sort()).toEqual(secrets);
});

test(".env.example names known variables only, all that compose requires, and no value that would work", () => {
  const lines = read(".env.example")
    .split("\n")
    .filter((line) => /^\w+=/.test(line));
  const sample = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
  expect(Object.keys(sample).filter((name) => !known.has(name) && !composeOnly.includes(name))).toEqual([]);
  for (const [, name = ""] of read("docker-compose.yml").matchAll(/\$\{(\w+):\?/g)) expect(sample[name], name).toBe("");
  expect(Object.values(sample).filter((value) => value !== "" && !value.includes("<"))).toEqual([]);
});

test("every service restarts, is limited, keeps its logs small; ours cannot write to their own file system", () => {
  const { simulator } = yaml("docker-compose.simulator.yml").services;
  const services = Object.entries<Service>({ ...compose.services, simulator });
  for (const [name, service] of services) {
    expect(service.restart, name).toMatch(/^unless-stopped$|^on-failure/);
    expect(service.deploy.resources.limits.memory, name).toBeTruthy();
    if (["postgres", "redis"].includes(name)) {
      expect(service.healthcheck?.test, name).toBeTruthy();
      expect(service.networks, name).toEqual(["backend"]);
      expect(service.ports, name).toBeUndefined();
    } else {
      expect(service.read_only, name).toBe(true);
      expect(service.cap_drop, name).toEqual(["ALL"]);
    }
  }
  expect(JSON.stringify(compose.services.redis.command)).toContain("--maxmemory-policy noeviction");
  expect(JSON.stringify(compose.services.redis.command)).toContain("--appendonly yes");
  expect(compose.services.api.ports).toEqual([
    expect.stringMatching(/:8000:8000$/),
    expect.stringMatching(/:3000:8000$/),
  ]);
  expect(compose.services.worker.container_name).toBeUndefined();
});

test("the chart's values fit its schema, which refuses secrets in the values and images without a name", () => {
  const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(
    JSON.parse(read(`${chart}/values.schema.json`)),
  );
  const values = () => yaml(`${chart}/values.yaml`);
  const image = { ...values().image, api: "registry.example/api", worker: "registry.example/worker" };
  expect(validate({ ...values(), image }), JSON.stringify(validate.errors)).toBe(true);
  expect(validate(values())).toBe(false);
  for (const name of [...secretVariableNames(), "LOG_LEVL", "METRICS_PORT"]) {
    expect(validate({ ...values(), image, config: { [name]: "x" } }), name).toBe(false);
  }
  const others = [...known].filter((name) => !secretVariableNames().includes(name) && !fixed.includes(name));
  for (const name of [...others, "NODE_EXTRA_CA_CERTS"]) {
    expect(validate({ ...values(), image, config: { [name]: "x" } }), name).toBe(true);
  }
  expect(secretVariableNames()).toEqual(
    expect.arrayContaining(["DATABASE_URL", "SECRET_KEY", "OPENAI_ADMIN_KEY", "AZURE_CLIENT_SECRET"]),
  );
  expect(validate({ ...values(), image, unknown: 1 })).toBe(false);
});

const templates = readdirSync(join(root, chart, "templates"));

test.each(templates)(
  "the chart's template %s closes what it opens and uses only values and helpers that exist",
  (name) => {
    const text = read(`${chart}/templates/${name}`);
    expect(text.split("{{").length).toBe(text.split("}}").length);
    let depth = 0;
    for (const [, word] of text.matchAll(/\{\{-?\s*(if|range|with|define|end)\b/g)) {
      depth += word === "end" ? -1 : 1;
      expect(depth).toBeGreaterThanOrEqual(0);
    }
    expect(depth).toBe(0);
    const values = yaml(`${chart}/values.yaml`);
    for (const [path, dotted = ""] of text.matchAll(/\.Values\.([A-Za-z.]+)/g)) {
      const found = dotted.split(".").reduce((at, key) => at?.[key], values);
      expect(found, path).toBeDefined();
    }
    const helpers = read(`${chart}/templates/_helpers.tpl`);
    for (const [, helper] of text.matchAll(/include "([\w.]+)"/g)) expect(helpers).toContain(`define "${helper}"`);
  },
);

test.each(templates.filter((name) => name.endsWith(".yaml")))(
  "the chart's template %s is YAML once its expressions are gone",
  (name) => {
    const text = read(`${chart}/templates/${name}`)
      .replaceAll(/^\s*\{\{-?[^}]*\}\}\s*$/gm, "")
      .replaceAll(/\{\{-? (?:include|toYaml)[^}]*nindent[^}]*\}\}/g, "{}")
      .replaceAll(/\{\{[^}]*\}\}/g, "x");
    for (const document of parseAllDocuments(text)) expect(document.errors).toEqual([]);
  },
);

test("every metric that the dashboard and the alerts ask for exists, and every alert has its section in the runbook", () => {
  const sources = ["shared/src/metrics.ts", "worker/src/metrics.ts", "api/src/ops/metrics.ts"].map(read).join("\n");
  const text = read("deploy/prometheus/alerts.yml") + read("deploy/grafana/keygate.json");
  for (const [name] of text.matchAll(/\bkeygate_[a-z_]+/g)) {
    expect(sources, name).toContain(`"${name.replace(/_(?:bucket|count|sum)$/, "")}"`);
  }
  const runbook = read("docs/runbook.md");
  for (const { alert, annotations } of yaml("deploy/prometheus/alerts.yml").groups[0].rules) {
    expect(runbook).toContain(`## ${alert}\n`);
    expect(annotations.runbook_url).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
  }
});
