import { must } from "@keygate/shared/errors";
import type { OpenAiBooks } from "@keygate/simulator/openai-books";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { SagaState } from "../src/saga/step.ts";
import { openai } from "../src/vendors/openai/adapter.ts";
import { openWorld, type World } from "./conformance-world.ts";
import { openaiFixture } from "./fixtures/openai.ts";

let world: World;
afterEach(() => world.close());

const Account = z.object({ id: z.string(), api_key: z.object({ id: z.string() }) });

async function asAdmin(path: string, body: unknown): Promise<unknown> {
  const { adminKey, extra } = world.fixture.settings;
  const answer = await fetch(`${extra.base_url}/organization${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${adminKey.reveal()}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(200);
  return answer.json();
}

const books = () => world.main.books() as OpenAiBooks;
const liveIds = () =>
  books()
    .keys.filter((key) => key.live)
    .map((key) => key.id)
    .sort();

/** A key on a service account of somebody's project, on which another key stands too; taken over by KeyGate. */
async function adopted() {
  world = await openWorld({ vendor: openai, fixture: openaiFixture });
  const project = z.object({ id: z.string() }).parse(await asAdmin("/projects", { name: "search in production" }));
  const path = `/projects/${project.id}/service_accounts`;
  const account = Account.parse(await asAdmin(path, { name: "search" }));
  const theirs = z
    .object({ id: z.string() })
    .parse(await asAdmin(`${path}/${account.id}/api_keys`, { name: "somebody else's" }));
  const vendorRef: SagaState & Record<string, unknown> = {
    ...{ projectId: project.id, serviceAccountId: account.id, keyId: account.api_key.id },
    ...{ sharesContainer: true },
  };
  const job = world.job();
  Object.assign(job.key, { budgetMicros: 0, rateLimitRpm: 0, modelsAllowed: null });
  return { project, account, theirs: theirs.id, old: account.api_key.id, vendorRef, job };
}

const projectOf = (id: string) =>
  must(
    books().projects.find((each) => each.id === id),
    "the project",
  );

describe("a key that was adopted in somebody's project at OpenAI", () => {
  it("gets a successor on the same account, and its end takes nothing of theirs along", async () => {
    const { project, theirs, old, vendorRef, job } = await adopted();
    const held = job.hold(await job.run(openai.rotate, vendorRef));
    const { keyId } = held.vendorRef;
    expect(liveIds()).toEqual([old, theirs, keyId].sort());
    expect(held.vendorRef).toMatchObject({ sharesContainer: true });
    expect(await world.fixture.use(held.secret, held.instructions)).toBe("accepted");

    await world.job().run(openai.revoke(false), vendorRef);
    expect(liveIds()).toEqual([theirs, keyId].sort());
    await world.job().run(openai.revoke(false), held.vendorRef as SagaState);
    expect(liveIds()).toEqual([theirs]);
    expect(projectOf(project.id)).toMatchObject({ status: "active", spend_limit: null });
    expect(world.main.violations()).toEqual([]);
  });

  it("loses nothing but the new key when its rotation is stopped", async () => {
    const { theirs, old, vendorRef, job } = await adopted();
    await job.run(openai.rotate, vendorRef, { until: 1 });
    expect(liveIds()).toHaveLength(3);
    await job.undo(openai.rotate, vendorRef);
    expect(liveIds()).toEqual([old, theirs].sort());
  });

  it("is said to have no budget, since nobody set one", async () => {
    const { vendorRef, job } = await adopted();
    const { limits } = job.hold(await job.run(openai.rotate, vendorRef));
    const enforcers = Object.fromEntries(limits.map(({ limit, enforced_by }) => [limit, enforced_by]));
    expect(enforcers).toMatchObject({ budget: "none", rate_limit: "none", models: "none" });
  });

  it("has no successor when it is a person's, and says so instead of trying for ever", async () => {
    const { project, vendorRef, job } = await adopted();
    const made = await world.main.control("create_user_key", { project_id: project.id });
    const { id } = z.object({ id: z.string() }).parse(made?.body);
    const ref = { ...vendorRef, serviceAccountId: undefined, keyId: id };
    await expect(job.run(openai.rotate, ref, { tries: 1 })).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringContaining("belongs to a person"),
    });
    await world.job().run(openai.revoke(false), ref);
    expect(liveIds()).not.toContain(id);
  });
});

describe("OpenAI's answers that leave something out or are not OpenAI's", () => {
  it("knows an archived project by its time alone", async () => {
    world = await openWorld({ vendor: openai, fixture: openaiFixture });
    const made = world.job();
    const { vendorRef } = made.hold(await made.run(openai.provision));
    const project = projectOf(String(vendorRef.projectId));
    const bare = (archived_at: number | null) => ({
      ...{ id: project.id, object: "organization.project", created_at: 1, archived_at },
    });
    const shown = { method: "GET", path: `/projects/${project.id}$` };
    const tell = (nth: number, archived_at: number | null) =>
      world.main.faults.add({
        match: { ...shown, nth },
        when: "before",
        do: { type: "respond", status: 200, body: bare(archived_at) },
      });
    // By the confirmation of the key's end, before archiving, and after it.
    tell(1, null);
    tell(2, null);
    tell(3, 1_800_000_000);
    await world.job().run(openai.revoke(true), vendorRef as SagaState, { tries: 1 });
    expect(projectOf(project.id).status).toBe("archived");
  });

  it("deletes a key again that stays, since somebody else may have answered for OpenAI", async () => {
    world = await openWorld({ vendor: openai, fixture: openaiFixture });
    const made = world.job();
    const old = made.hold(await made.run(openai.provision));
    const next = world.job();
    const held = next.hold(await next.run(openai.rotate, old.vendorRef as SagaState));
    world.main.faults.add({
      match: { method: "DELETE", path: "/api_keys/", nth: 1 },
      when: "before",
      do: { type: "respond", status: 200, body: {} },
    });
    await world.job().run(openai.revoke(false), old.vendorRef as SagaState, { tries: 30 });
    expect(liveIds()).toEqual([held.vendorRef.keyId]);
  });
});

describe("a page that is answered with status 200", () => {
  it("sets no limit, so it is set again", async () => {
    world = await openWorld({ vendor: openai, fixture: openaiFixture });
    for (const path of ["/spend_limit$", "/model_permissions$"]) {
      world.main.faults.add({
        match: { method: "POST", path, nth: 1 },
        when: "before",
        do: { type: "respond", status: 200, text: "<h1>Sign in</h1>" },
      });
    }
    const made = world.job();
    const held = made.hold(await made.run(openai.provision));
    const project = projectOf(String(held.vendorRef.projectId));
    expect(project.spend_limit).toMatchObject({ threshold_amount: 5_000 });
    expect(project.model_permissions).toMatchObject({ mode: "allow_list", model_ids: ["gpt-4o"] });
    expect(held.vendorRef).toMatchObject({ spendLimitCents: 5_000, modelsAllowed: ["gpt-4o"] });
  });
});

describe("what OpenAI has just made", () => {
  it("is waited for where OpenAI does not show it everywhere at once, and missed when it stays away", async () => {
    world = await openWorld({ vendor: openai, fixture: openaiFixture });
    const notFound = { type: "respond", status: 404, body: { error: { message: "No such project." } } } as const;
    for (const path of ["/spend_limit$", "/model_permissions$", "/rate_limits$", "/service_accounts$"]) {
      world.main.faults.add({ match: { path, nth: 1 }, when: "before", do: notFound });
    }
    await world.job().run(openai.provision);
    expect(world.fixture.liveKeys()).toHaveLength(1);
    expect(books().projects.filter(({ name }) => name?.startsWith("keygate-"))).toHaveLength(1);

    world.main.faults.clear();
    world.main.faults.add({ match: { path: "/spend_limit$" }, times: 0, when: "before", do: notFound });
    const failed = world.job();
    await expect(failed.run(openai.provision)).rejects.toMatchObject({ code: "vendor.refused" });
  });
});
