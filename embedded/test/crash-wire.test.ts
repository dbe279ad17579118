import pg from "pg";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openWire, type Wire } from "../src/crash/wire.ts";
import { createTestDatabase } from "../test-support/database.ts";

// What the crash run holds its processes at must really be that moment, or a kill there proves nothing.

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let wire: Wire;
let clients: pg.Client[];

async function connect(url: string, applicationName = "test"): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: applicationName });
  client.on("error", () => {});
  await client.connect();
  clients.push(client);
  return client;
}

beforeEach(async () => {
  clients = [];
  database = await createTestDatabase();
  wire = await openWire(database.url);
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.end().catch(() => {})));
  await wire.close();
  await database.drop();
});

const insert = `insert into "audit_events" (id, action, actor, resource_type, resource_id, details)
  values ($1, 'test', 'test', 'test', 'test', '{}')`;
const written = async (direct: pg.Client) =>
  (await direct.query("select id from audit_events order by seq")).rows.map(({ id }) => id);

function holdAudit(nth: number, when: "before" | "after") {
  const { promise, resolve } = Promise.withResolvers<void>();
  let seen = 0;
  wire.hold({ what: "audit", when, isDue: () => ++seen === nth, onHeld: resolve });
  return promise;
}

it("holds the second write before PostgreSQL sees it, and lets it through when it is released", async () => {
  const direct = await connect(database.url);
  const client = await connect(wire.url);
  const held = holdAudit(2, "before");
  await client.query(insert, ["one"]);
  const second = client.query(insert, ["two"]);
  await held;
  expect(await written(direct)).toEqual(["one"]);
  wire.release();
  await second;
  expect(await written(direct)).toEqual(["one", "two"]);
});

it("counts a statement that was prepared once each time that it runs", async () => {
  const direct = await connect(database.url);
  const client = await connect(wire.url);
  const held = holdAudit(2, "before");
  const run = (id: string) => client.query({ name: "keygate_test", text: insert, values: [id] });
  await run("one");
  const second = run("two");
  await held;
  expect(await written(direct)).toEqual(["one"]);
  wire.release();
  await second;
  expect(await written(direct)).toEqual(["one", "two"]);
});

it("holds the answer to a write that PostgreSQL has done", async () => {
  const direct = await connect(database.url);
  const client = await connect(wire.url);
  const held = holdAudit(1, "after");
  let isAnswered = false;
  const first = client.query(insert, ["one"]).then(() => {
    isAnswered = true;
  });
  await held;
  expect(await written(direct)).toEqual(["one"]);
  expect(isAnswered).toBe(false);
  wire.release();
  await first;
});

it("holds a commit only of a transaction that wrote an audit row, and never the queue's own", async () => {
  const direct = await connect(database.url);
  const client = await connect(wire.url);
  const queue = await connect(wire.url, "keygate-queue");
  const { promise: held, resolve } = Promise.withResolvers<void>();
  wire.hold({ what: "commit", when: "before", isDue: () => true, onHeld: resolve });
  for (const one of [queue, client]) {
    await one.query("begin");
    if (one === queue) await one.query(insert, ["queue"]);
    await one.query("commit");
  }
  expect(await written(direct)).toEqual(["queue"]);
  await client.query("begin");
  await client.query(insert, ["one"]);
  const commit = client.query("commit");
  await held;
  expect(await written(direct)).toEqual(["queue"]);
  // The process dies here: PostgreSQL never hears of the commit.
  commit.catch(() => {});
  await wire.close();
  await expect(commit).rejects.toThrow();
  expect(await written(direct)).toEqual(["queue"]);
});
