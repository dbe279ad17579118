import { Secret } from "@keygate/shared/secret";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accessTokens } from "../src/auth/access-tokens.ts";
import { type Contract, contractOf } from "./contract.ts";
import { type Answer, type ApiHarness, type Call, createApiHarness } from "./harness.ts";
import { exampleOf, fillPath, type Operation, operationsOf, wrongTypeFor } from "./schema-examples.ts";

let api: ApiHarness;
let operations: Operation[];
let contract: Contract;
let foreignTokens: Record<string, string>;

beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
  const { body: document } = await api.call("GET", "~/openapi.json");
  operations = operationsOf(document);
  contract = contractOf(document);
  const options = { audience: "keygate-api", ttlMinutes: 10, clock: () => new Date() } as const;
  const { secretKey } = api.config;
  const owner = { id: api.owner.id, token_version: 1 };
  const claims = new SignJWT({ token_version: 1 }).setIssuer("keygate").setAudience("keygate-api").setSubject(owner.id);
  const [head, payload] = api.owner.token.split(".");
  foreignTokens = {
    expired: await accessTokens({ ...options, secretKey, clock: () => new Date(Date.now() - 3_600_000) }).issue(owner),
    "signed with another key": await accessTokens({ ...options, secretKey: new Secret("x".repeat(40)) }).issue(owner),
    "made for the queue board": await accessTokens({ ...options, secretKey, audience: "keygate-queues" }).issue(owner),
    "without an end": await claims.setProtectedHeader({ alg: "HS256" }).setIssuedAt().sign(new Uint8Array(32)),
    unsigned: `${Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url")}.${payload}.`,
    "with a cut signature": `${head}.${payload}.`,
    "of an older password": await accessTokens({ ...options, secretKey }).issue({ ...owner, token_version: 0 }),
    nonsense: "nonsense",
  };
});
afterAll(() => api?.close());

/** A clear 4xx: the right media type, a code, and nothing of the inside. */
function expectProblem(answer: Answer, statuses: number[], what: string): void {
  expect(statuses, `${what}: ${answer.status} ${answer.text.slice(0, 300)}`).toContain(answer.status);
  expect(answer.headers.get("content-type"), what).toBe("application/problem+json");
  expect(answer.headers.get("cache-control"), what).toBe("no-store");
  expect(answer.body, what).toMatchObject({ status: answer.status, code: expect.stringMatching(/^[a-z_]+\.[a-z_]+$/) });
}

const withBody = () => operations.filter((operation) => operation.body !== null);

/** Sends what the case makes of an operation, and sees that every table has as many rows as before. */
async function everywhere(
  list: Operation[],
  cases: (operation: Operation) => { what: string; path?: string; call: Call; statuses: number[] }[],
): Promise<number> {
  const before = await api.countRows();
  let sent = 0;
  for (const operation of list) {
    for (const { what, path, call, statuses } of cases(operation)) {
      const answer = await api.call(operation.method, path ?? fillPath(operation), call);
      expectProblem(answer, statuses, `${operation.method} ${operation.path}: ${what}`);
      expect(contract.faultsOf(operation.method, path ?? fillPath(operation), answer)).toEqual([]);
      sent += 1;
    }
  }
  expect(await api.countRows()).toEqual(before);
  expect(sent).toBeGreaterThan(0);
  return sent;
}

const validBody = (operation: Operation) => exampleOf(operation.body ?? {}) as Record<string, unknown>;
const optionalBody = (operation: Operation): Pick<Call, "body"> =>
  operation.body ? { body: validBody(operation) } : {};

describe("who may not, gets no further", () => {
  test("a call without a token is 401 and says how to authenticate", async () => {
    const guarded = operations.filter((operation) => operation.token === "needed");
    await everywhere(guarded, (operation) => [
      { what: "no token", call: { ...optionalBody(operation), token: null }, statuses: [401] },
    ]);
    const answer = await api.call("GET", "/keys", { token: null });
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="keygate"');
    expect(guarded.length).toBeGreaterThan(30);
  });

  test("a token that is expired, foreign, unsigned or outdated is 401", async () => {
    const guarded = operations.filter((operation) => operation.token !== "ignored");
    await everywhere(guarded, (operation) =>
      Object.entries(foreignTokens).map(([what, token]) => ({
        what: `a token ${what}`,
        call: { ...optionalBody(operation), token },
        statuses: [401],
      })),
    );
  });

  test("an auditor changes nothing: 403 for every call that is not a read", async () => {
    // Their own password is the one thing that is theirs.
    const writes = operations.filter(
      ({ method, path, token }) => method !== "GET" && token === "needed" && path !== "/auth/password",
    );
    await everywhere(writes, (operation) => [
      { what: "as auditor", call: { ...optionalBody(operation), token: api.auditor.token }, statuses: [403] },
    ]);
    expect(writes.length).toBeGreaterThan(20);
  });
});

describe("what cannot be understood, changes nothing", () => {
  test("a bad id in the path is 404, as any id that nothing has", async () => {
    const withIds = operations.filter((operation) => operation.parameters.some((one) => one.in === "path"));
    await everywhere(withIds, (operation) =>
      operation.parameters
        .filter((one) => one.in === "path")
        .flatMap(({ name }) =>
          [
            "1",
            "key-0",
            "../../etc",
            "dev-0192f0a1-7c3e-7b6a-9d53-2f6c0a4e8b1X",
            "a\u0000b",
            "🦊",
            "x".repeat(5000),
          ].map((id) => ({
            what: `${name}=${id.slice(0, 50)}`,
            path: fillPath(operation, { [name]: id }),
            call: optionalBody(operation),
            statuses: [404],
          })),
        ),
    );
  });

  test("a well-formed id of nothing is 404", async () => {
    const one = operations.filter(({ path }) => /\{(id|dev|job_id)\}/.test(path));
    await everywhere(one, (operation) => [{ what: "no such thing", call: optionalBody(operation), statuses: [404] }]);
  });

  test("an unknown or wrong query parameter is 422", async () => {
    const lists = operations.filter((operation) => operation.parameters.some((one) => one.in === "query"));
    await everywhere(lists, (operation) => {
      const path = fillPath(operation);
      const known = operation.parameters.filter((one) => one.in === "query").map((one) => one.name);
      const wrong: Record<string, string[]> = {
        limit: ["0", "-1", "501", "1.5", "many", "", "1e99", "1&limit=2"],
        cursor: ["", "%00", "nonsense", "W10", "WyJhIiwiYiJd", "WyIwMDAwLTAxLTAxIiwxXQ", "WyJUdWVzZGF5IiwxXQ"],
        since: ["yesterday", "2026-13-01T00:00:00Z", "", "%00"],
        status: ["alive", "", "active&status=all"],
        vendor: ["acme"],
        active_only: ["perhaps"],
        include_archived: ["2"],
        include_removed: ["2", ""],
        keep_tokens: ["perhaps"],
        force: ["perhaps"],
        actor: ["%00", ""],
        team: ["a%00b"],
      };
      const cases = known.flatMap((name) => (wrong[name] ?? []).map((value) => `${name}=${value}`));
      return [...cases, "zz_unknown=1", "%00=1"].map((query) => ({
        what: `?${query}`,
        path: `${path}?${query}`,
        call: optionalBody(operation),
        statuses: [422],
      }));
    });
  });

  test("a body of the wrong shape is 422 with an entry per field", async () => {
    await everywhere(withBody(), (operation) => {
      const valid = validBody(operation);
      const { properties = {}, required = [] } = operation.body ?? {};
      const shapes = [null, 7, "text", true, [], [valid]];
      return [
        ...shapes.map((shape) => ({
          what: JSON.stringify(shape),
          call: { body: JSON.stringify(shape) },
          statuses: [422],
        })),
        ...required.map((name) => {
          const { [name]: _left, ...rest } = valid;
          return { what: `without ${name}`, call: { body: rest }, statuses: [422] };
        }),
        ...Object.entries(properties).map(([name, schema]) => ({
          what: `wrong type of ${name}`,
          call: { body: { ...valid, [name]: wrongTypeFor(schema) } },
          statuses: [422],
        })),
        { what: "an unknown field", call: { body: { ...valid, zz_unknown: 1 } }, statuses: [422] },
      ];
    });
    const answer = await api.call("POST", "/developers", { body: { name: "", email: "nobody", extra: 1 } });
    expect(answer.body.errors.map((one: { field: string }) => one.field).sort()).toEqual(["email", "extra", "name"]);
  });

  test("a body that is not JSON, too long, too deep or cannot be kept is a 4xx", async () => {
    const long = JSON.stringify({ filler: "x".repeat(2 * 1024 * 1024) });
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    await everywhere(withBody(), (operation) => {
      const valid = validBody(operation);
      const text = (extra: string) =>
        `${JSON.stringify(valid).slice(0, -1)}${Object.keys(valid).length ? "," : ""}${extra}}`;
      return [
        { what: "broken JSON", call: { body: '{"a":' }, statuses: [400] },
        { what: "not UTF-8", call: { body: Uint8Array.from([0x22, 0xff, 0xfe, 0x22]) }, statuses: [400] },
        { what: "2 MiB", call: { body: long }, statuses: [413] },
        {
          what: "a form",
          call: { body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } },
          statuses: [415],
        },
        { what: "text", call: { body: "{}", headers: { "content-type": "text/plain" } }, statuses: [415] },
        { what: "deep nesting", call: { body: deep }, statuses: [422] },
        { what: "a deep field", call: { body: text(`"zz":${deep}`) }, statuses: [422] },
        { what: "__proto__", call: { body: text('"__proto__":{"role":"owner"}') }, statuses: [422] },
        { what: "constructor", call: { body: text('"constructor":{"prototype":{}}') }, statuses: [422] },
        { what: "NUL in a name", call: { body: text('"a\\u0000b":1') }, statuses: [422] },
        ...Object.entries(operation.body?.properties ?? {}).flatMap(([name]) => [
          { what: `NUL in ${name}`, call: { body: { ...valid, [name]: "a\u0000b" } }, statuses: [422] },
          { what: `half a character in ${name}`, call: { body: { ...valid, [name]: "\ud83e" } }, statuses: [422] },
          { what: `1e999 in ${name}`, call: { body: text(`"${name}":1e999`) }, statuses: [422] },
          { what: `-1 in ${name}`, call: { body: { ...valid, [name]: -1 } }, statuses: [422] },
          { what: `huge ${name}`, call: { body: { ...valid, [name]: "x".repeat(100_000) } }, statuses: [422] },
        ]),
      ];
    });
  });

  test("a method that a path does not have is 405 and says which it has", async () => {
    const known = Map.groupBy(operations, (operation) => operation.path);
    const before = await api.countRows();
    for (const [path, list] of known) {
      const [first] = list;
      const methods = new Set(list.map((operation) => operation.method));
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((one) => !methods.has(one))) {
        const target = first ? fillPath(first) : path;
        const others = operations.filter((one) => one.method === method && matches(one.path, target));
        if (others.length > 0) continue;
        const answer = await api.call(method, target);
        expectProblem(answer, [405], `${method} ${path}`);
        for (const one of methods) expect(answer.headers.get("allow"), path).toContain(one);
      }
    }
    expect(await api.countRows()).toEqual(before);
  });
});

const matches = (template: string, path: string) => new RegExp(`^${template.replace(/\{\w+\}/g, "[^/]+")}$`).test(path);

test("nothing of all this was a surprise", () => {
  const errors = api.logLines.filter((line) => JSON.parse(line).level >= 50);
  expect(errors).toEqual([]);
});
