import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { OpenAiBooks } from "@keygate/simulator/openai-books";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ApiClient } from "../src/demo/api-client.ts";
import { type Backend, type ServerMode, startServerMode } from "../test-support/server-mode.ts";

describe.each<Backend>(["redis", "postgres"])("server mode on the %s queue, two APIs and two workers", (backend) => {
  let mode: ServerMode;
  let one: ApiClient;
  let two: ApiClient;
  let people = 0;

  beforeAll(async () => {
    mode = await startServerMode(backend, { apis: 2, workers: 2 });
    const [first, second] = mode.apis;
    if (!first || !second) throw new Error("two APIs were asked for");
    one = first;
    two = second;
  }, 120_000);
  afterAll(() => mode.close(), 120_000);

  const books = () => mode.openai.books() as OpenAiBooks;
  const liveKeys = () =>
    books()
      .keys.filter((key) => key.live)
      .map((key) => key.secret_sha256);
  const sha256 = (text: unknown) => createHash("sha256").update(String(text)).digest("hex");
  const openProjects = () => books().projects.filter((project) => project.status === "active" && !project.default);

  async function developer(team = "engines"): Promise<string> {
    people += 1;
    const made = await one.call("POST", "/api/v1/developers", {
      name: "Ada Lovelace",
      email: `ada${people}@acme.test`,
      team,
    });
    expect(made.status).toBe(200);
    return String(made.body.id);
  }
  const provision = (api: ApiClient, developerId: string) =>
    api.call("POST", "/api/v1/keys/provision", {
      developer_id: developerId,
      vendor: "openai",
      models_allowed: ["gpt-4o"],
    });

  it("takes a key through its life, asked for at one API and ended at the other", async () => {
    const who = await developer();
    const made = await provision(one, who);
    expect(made.status).toBe(200);
    expect(liveKeys()).toContain(sha256(made.body.api_key));
    const again = await two.call("POST", `/api/v1/jobs/${made.body.job_id}/claim`, {});
    expect(again.status).toBe(410);
    const rotated = await two.call("POST", `/api/v1/keys/${made.body.key_id}/rotate`, { grace_period_minutes: 60 });
    expect(rotated.status).toBe(200);
    expect(liveKeys()).toEqual(expect.arrayContaining([sha256(made.body.api_key), sha256(rotated.body.api_key)]));
    const hard = await one.call("POST", `/api/v1/keys/${rotated.body.new_key_id}/rotate`, {});
    expect(hard.status).toBe(200);
    if (hard.body.old_key_status !== "rotated") await untilStatus(one, rotated.body.new_key_id, "rotated");
    expect(liveKeys()).not.toContain(sha256(rotated.body.api_key));
    expect(liveKeys()).toContain(sha256(hard.body.api_key));
    const gone = await two.call("DELETE", `/api/v1/developers/${who}`);
    if (gone.status === 202) await two.waitForJob(String(gone.body.job_id), ["succeeded"]);
    expect(liveKeys()).toEqual([]);
    expect(openProjects()).toEqual([]);
  }, 180_000);

  it("revokes many at once, and only those", async () => {
    const [kept, lost] = [await developer("kept"), await developer("lost")];
    const keys = await Promise.all([...Array(3).fill(kept), ...Array(5).fill(lost)].map((who) => provision(one, who)));
    for (const key of keys) expect(key.status).toBe(200);
    const batch = await two.call("POST", "/api/v1/keys/revoke", { team: "lost" });
    if (batch.status === 202) await two.waitForJob(String(batch.body.job_id), ["succeeded"]);
    const { body } = await one.call("GET", `/api/v1/jobs/${batch.body.job_id}`);
    expect(body.progress).toEqual({ total: 5, succeeded: 5, failed: 0 });
    expect(liveKeys().sort()).toEqual(
      keys
        .slice(0, 3)
        .map((key) => sha256(key.body.api_key))
        .sort(),
    );
    const rest = await one.call("POST", "/api/v1/keys/revoke", { team: "kept" });
    if (rest.status === 202) await one.waitForJob(String(rest.body.job_id), ["succeeded"]);
    expect(liveKeys()).toEqual([]);
  });

  it("finishes every job although the queue is emptied while they wait and run", async () => {
    const who = await developer();
    mode.openai.faults.add({
      match: { path: "/organization/projects$" },
      times: 0,
      when: "before",
      do: { type: "delay", ms: 300 },
    });
    const asked = Array.from({ length: 12 }, () => provision(one, who));
    for (let round = 0; round < 3; round++) {
      await sleep(200);
      await mode.flushRedis();
    }
    const answers = await Promise.all(asked);
    mode.openai.faults.clear();
    for (const answer of answers) expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(liveKeys().sort()).toEqual(answers.map((answer) => sha256(answer.body.api_key)).sort());
    expect(openProjects()).toHaveLength(12);
    const gone = await one.call("DELETE", `/api/v1/developers/${who}`);
    if (gone.status === 202) await one.waitForJob(String(gone.body.job_id), ["succeeded"]);
    expect(openProjects()).toEqual([]);
  });

  it("hands the work of a worker that is told to stop over, and makes nothing twice", async () => {
    const who = await developer();
    const leaving = mode.workers[0];
    mode.openai.faults.add({
      match: { path: "/spend_limit$" },
      times: 0,
      when: "after",
      do: { type: "delay", ms: 150 },
    });
    const asked = Array.from({ length: 8 }, () => provision(one, who));
    await sleep(150);
    await mode.startWorker();
    await leaving?.stop(15_000);
    expect(leaving?.process.exitCode).toBe(0);
    const answers = await Promise.all(asked);
    mode.openai.faults.clear();
    for (const answer of answers) expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(openProjects()).toHaveLength(8);
    const gone = await one.call("DELETE", `/api/v1/developers/${who}`);
    if (gone.status === 202) await one.waitForJob(String(gone.body.job_id), ["succeeded"]);
    expect(openProjects()).toEqual([]);
  });

  it("keeps the key nowhere: no table, no Redis key, no log, neither before it is taken nor after", async () => {
    const who = await developer();
    const path = "/api/v1/keys/provision";
    const made = await one.call("POST", path, { developer_id: who, vendor: "openai" }, { prefer: "respond-async" });
    expect(made.status).toBe(202);
    await one.waitForJob(String(made.body.job_id), ["succeeded"]);
    const sealedAway = await mode.everythingKept();
    const taken = await two.call("POST", `/api/v1/jobs/${made.body.job_id}/claim`, {
      claim_token: made.body.claim_token,
    });
    expect(taken.status).toBe(200);
    const kept = [...sealedAway, ...(await mode.everythingKept())];
    expect(kept.length).toBeGreaterThan(50);
    // The sweep can find something at all.
    expect(kept.some((text) => text.includes(String(taken.body.key_id)))).toBe(true);
    for (const secret of [String(taken.body.api_key), String(made.body.claim_token), mode.adminKey]) {
      const forms = [secret, Buffer.from(secret).toString("base64"), Buffer.from(secret).toString("base64url")];
      for (const form of [...forms, Buffer.from(secret).toString("hex"), JSON.stringify(secret).slice(1, -1)]) {
        expect(kept.filter((text) => text.includes(form)).map((text) => text.slice(0, 80))).toEqual([]);
      }
    }
    await one.call("POST", `/api/v1/keys/${taken.body.key_id}/revoke`);
  });

  async function untilStatus(api: ApiClient, keyId: unknown, status: string): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const { body } = await api.call("GET", `/api/v1/keys/${keyId}`);
      if (body.status === status) return;
      if (Date.now() > deadline) throw new Error(`key ${keyId} is ${body.status}`);
      await sleep(50);
    }
  }
});
