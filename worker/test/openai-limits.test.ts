import type { KeyId } from "@keygate/shared/contracts/ids";
import { keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import type { OpenAiBooks } from "@keygate/simulator/openai-books";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningFixture } from "./fixtures/fixture.ts";
import { openaiFixture } from "./fixtures/openai.ts";
import { createHarness, type Harness } from "./harness.ts";

const daySeconds = 86_400;

describe("what OpenAI is told", () => {
  let fixture: RunningFixture;
  let world: Harness;
  let worker: { close(): Promise<void> };
  const books = () => must(fixture.servers[0], "server").books() as OpenAiBooks;

  beforeAll(async () => {
    fixture = await openaiFixture.start();
    world = await createHarness({ backend: "postgres", settings: fixture.settings });
    worker = world.start();
  });
  afterAll(async () => {
    await worker.close();
    await world.close();
    await fixture.close();
  });

  it("sets name, spend limit in cents, models, rate limit and expiry exactly as asked", async () => {
    const asked = await world.provision({ models: ["gpt-4o", "o3"], expiresInDays: 30 });
    await world.settle(asked.jobId, "succeeded");
    const key = must(await keyRows(world.deps.db).find(asked.keyId), "key");
    const project = must(
      books().projects.find((candidate) => candidate.name === key.project_name),
      "project",
    );
    expect(project.spend_limit).toMatchObject({ threshold_amount: 5_000, currency: "USD", interval: "month" });
    expect(project.model_permissions).toMatchObject({ mode: "allow_list", model_ids: ["gpt-4o", "o3"] });
    const limited = project.rate_limits.filter((row) => ["gpt-4o", "o3"].includes(row.model));
    expect(limited.map((row) => row.max_requests_per_1_minute)).toEqual([60, 60]);
    const vendorKey = must(
      books().keys.find((candidate) => candidate.project_id === project.id),
      "vendor key",
    );
    const wanted = must(key.expires_at, "expiry").getTime() / 1000;
    expect(Math.abs(must(vendorKey.expires_at, "the vendor's expiry") - wanted)).toBeLessThan(30);
    expect(vendorKey.expires_at).toBeGreaterThan(Date.now() / 1000 + 29 * daySeconds);
  });

  it("limits every model that the project has when no list is given", async () => {
    const asked = await world.provision({ models: null });
    await world.settle(asked.jobId, "succeeded");
    const key = must(await keyRows(world.deps.db).find(asked.keyId), "key");
    const project = must(
      books().projects.find((candidate) => candidate.name === key.project_name),
      "project",
    );
    const rates = project.rate_limits.map((row) => row.max_requests_per_1_minute).filter((rate) => rate !== undefined);
    expect(rates.length).toBeGreaterThan(2);
    expect(new Set(rates)).toEqual(new Set([60]));
  });

  it("has every limit in place before the key exists", async () => {
    const before = books().events.length;
    const asked = await world.provision();
    await world.settle(asked.jobId, "succeeded");
    const types = books()
      .events.slice(before)
      .map((event) => event.type);
    const keyAt = types.findIndex((type) => /key.*creat|service_account.*creat/.test(type));
    expect(keyAt, types.join(", ")).toBeGreaterThan(0);
    for (const limit of [/spend_limit/, /model_permission/, /rate_limit/]) {
      const last = types.findLastIndex((type) => limit.test(type));
      expect(last, `${limit} in ${types.join(", ")}`).toBeGreaterThanOrEqual(0);
      expect(last, `${limit} before the key`).toBeLessThan(keyAt);
    }
  });

  it("gives two keys of one developer two projects", async () => {
    const [one, two] = [await world.provision(), await world.provision()];
    for (const asked of [one, two]) await world.settle(asked.jobId, "succeeded");
    const refs = await Promise.all(
      [one, two].map(async ({ keyId }) => (await keyRows(world.deps.db).find(keyId))?.vendor_ref),
    );
    expect(refs[0]?.projectId).not.toBe(refs[1]?.projectId);
  });

  it("says revoked of a key whose project a person has archived, and undoes into one", async () => {
    const archive = async (asked: { keyId: KeyId }) => {
      const key = must(await keyRows(world.deps.db).find(asked.keyId), "key");
      const project = must(
        books().projects.find((candidate) => candidate.name === key.project_name),
        "project",
      );
      const { adminKey, extra } = fixture.settings;
      const answer = await fetch(`${extra.base_url}/organization/projects/${project.id}/archive`, {
        method: "POST",
        headers: { authorization: `Bearer ${adminKey.reveal()}` },
      });
      expect(answer.status).toBe(200);
    };
    const asked = await world.provision();
    await world.settle(asked.jobId, "succeeded");
    await archive(asked);
    await world.settle(await world.revoke(asked.keyId), "succeeded");
    expect(await world.statusOf(asked.keyId)).toBe("revoked");

    const old = await world.provision();
    await world.settle(old.jobId, "succeeded");
    await archive(old);
    const successor = await world.rotate(old.keyId);
    await world.settle(successor.jobId, "failed");
    expect(await world.statusOf(successor.keyId)).toBe("failed");
  });
});
