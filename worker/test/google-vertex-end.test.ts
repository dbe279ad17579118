import { describe, expect, it } from "vitest";
import { callModel, exchangeKeyFile } from "./fixtures/google-vertex.ts";
import { dayMs, type Job, startWorld, type World } from "./google-vertex-support.ts";

const scope = "https://www.googleapis.com/auth/cloud-platform";

async function tokenOf(job: Job): Promise<string> {
  const token = await exchangeKeyFile(job.secret(), scope);
  if (!token) throw new Error("no token");
  return token;
}

/** What happened since, without tokens and without what Google does by itself. */
const eventsSince = (world: World, n: number) =>
  world
    .books()
    .events.filter((each) => each.n > n && each.event !== "token.issued" && each.by !== "google")
    .map(({ event }) => event);

describe("a revocation at Google", () => {
  it("ends running tokens first, then removes keys, grant and account, in that order", async () => {
    const world = await startWorld();
    const { job, vendorRef, instructions } = await world.provisioned();
    const token = await tokenOf(job);
    const last = world.books().events.length;
    await world.job().run("revoke-last", vendorRef);
    expect(eventsSince(world, last)).toEqual([
      "account.disabled",
      "key.disabled",
      "key.deleted",
      "policy.set",
      "account.deleted",
    ]);
    expect(await callModel(token, instructions.base_url)).toBe(401);
    expect(await world.use(job, instructions)).toBe("refused");
    expect(world.google.leftovers()).toEqual([]);
  });

  it("ends access although the grant goes on working for minutes", async () => {
    const world = await startWorld({ revoke_after_ms: 300_000 });
    const { job, vendorRef, instructions } = await world.provisioned();
    const token = await tokenOf(job);
    await world.job().run("revoke-last", vendorRef);
    expect(await callModel(token, instructions.base_url)).toBe(401);
  });

  it("is done when somebody has removed everything already, and when it is done twice", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    await world.job().run("revoke-last", vendorRef);
    await world.job().run("revoke-last", vendorRef);
    await world.job().run("dismantle", vendorRef);
    expect(world.google.leftovers()).toEqual([]);
  });

  it("does not take a web page for the proof that a key is gone", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    world.google.main.faults.add({
      match: { method: "POST", path: ":disable$" },
      times: 0,
      when: "before",
      do: { type: "respond", status: 404, text: "<h1>404</h1>" },
    });
    await expect(world.job().once("revoke-last", vendorRef)).rejects.toMatchObject({ code: "vendor.unavailable" });
    expect(world.google.liveKeys()).toHaveLength(1);
  });

  it("removes the grant of an account that somebody deleted, in its other spelling", async () => {
    const world = await startWorld();
    const { state, vendorRef } = await world.provisioned();
    const client = world.client as { deleteAccount(ref: unknown): Promise<unknown> };
    await client.deleteAccount({ projectId: state.projectId, email: state.email });
    expect(world.google.leftovers().join()).toContain("deleted:serviceAccount");
    await world.job().run("revoke-last", vendorRef);
    expect(world.google.leftovers()).toEqual([]);
  });

  it("removes keys that somebody added by hand, and goes on while lists lag", async () => {
    const world = await startWorld({ key_list_lag_ms: 30_000 });
    const { state, vendorRef } = await world.provisioned();
    const client = world.client as { createKey(ref: unknown): Promise<unknown> };
    await client.createKey({ projectId: state.projectId, email: state.email });
    world.google.advance(30_000);
    await world.job().run("revoke-last", vendorRef);
    expect(world.google.liveKeys()).toEqual([]);
  });

  it("ends a key that Google found in public and disabled by itself; one that is new is not handed over", async () => {
    const world = await startWorld();
    const job = world.job();
    const state = await job.run("provision");
    await world.google.main.control("expose_key", { email: state.email, key_id: state.keyId });
    await job.journal.reopen(["verify-key"]);
    await expect(job.run("provision")).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringContaining("EXPOSED"),
    });
    await world.job().run("revoke", state);
    expect(world.account(state.email)?.keys.every(({ deleted_at }) => deleted_at !== null)).toBe(true);
    await job.undo("provision");
    expect(world.google.leftovers()).toEqual([]);
  });

  it("finds the account in the project that it was made in, whatever is configured since", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    const moved = world.connect({ extra: { ...world.google.settings.extra, project_id: "another-project" } });
    await world.job({}, moved).run("revoke-last", vendorRef);
    expect(world.google.leftovers()).toEqual([]);
  });
});

describe("a rotation at Google", () => {
  it("makes a second key on the same account; both work until the old one is revoked alone", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const next = await world.rotated(old.vendorRef);
    expect(next.state.email).toBe(old.state.email);
    expect(next.vendorRef).toMatchObject({ previousKeyIds: [old.state.keyId] });
    expect(await world.use(old.job, old.instructions)).toBe("accepted");
    expect(await world.use(next.job, next.instructions)).toBe("accepted");

    await world.job().run("revoke", old.vendorRef);
    expect(await world.use(old.job, old.instructions)).toBe("refused");
    expect(await world.use(next.job, next.instructions)).toBe("accepted");
    expect(world.google.liveKeys()).toEqual([world.google.digest(next.job.secret())]);
    await world.job().run("revoke-last", next.vendorRef);
    expect(world.google.leftovers()).toEqual([]);
  });

  it("extends the grant when the new key lives longer, and puts it back when it is undone", async () => {
    const world = await startWorld();
    const old = await world.provisioned({ expiresAt: new Date("2027-03-01T00:00:00Z") });
    const job = world.job({ expiresAt: new Date("2027-06-01T00:00:00Z") });
    const grants = () =>
      world.books().policy.bindings.filter((each) => each.members.join().includes(String(old.state.email)));
    const state = await job.run("rotate", old.vendorRef);
    expect(grants().map(({ condition }) => condition?.expression)).toEqual([
      'request.time < timestamp("2027-06-01T00:00:00Z")',
    ]);
    expect(job.describe(state).vendorRef).not.toHaveProperty("accessUntilBefore");
    await job.undo("rotate", old.vendorRef);
    expect(grants().map(({ condition }) => condition?.expression)).toEqual([
      'request.time < timestamp("2027-03-01T00:00:00Z")',
    ]);
    expect(world.google.liveKeys()).toEqual([world.google.digest(old.job.secret())]);
    expect(await world.use(old.job, old.instructions)).toBe("accepted");
  });

  it("leaves the old key its time when the new one lives shorter, and says who ends the new one", async () => {
    const world = await startWorld({ constraints: ["iam.disableServiceAccountKeyUpload"] });
    const old = await world.provisioned({ expiresAt: new Date(Date.now() + 30 * dayMs) });
    const next = await world.rotated(old.vendorRef, { expiresAt: new Date(Date.now() + dayMs) });
    world.google.advance(2 * dayMs);
    expect(await world.use(old.job, old.instructions)).toBe("accepted");
    expect(next.limits.find(({ limit }) => limit === "expiry")).toMatchObject({ enforced_by: "keygate" });
  });

  it("leaves exactly the old and the new key when an answer was lost on the way", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    world.google.main.faults.add({ match: { path: "/keys:upload$" }, when: "after", do: { type: "drop" } });
    const next = await world.rotated(old.vendorRef);
    expect(world.google.liveKeys().sort()).toEqual(
      [old.job.secret(), next.job.secret()].map((secret) => world.google.digest(secret)).sort(),
    );
  });

  it("clears keys that nobody knows when the account is full, and never waits a day", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const client = world.client as { createKey(ref: unknown): Promise<unknown> };
    const ref = { projectId: old.state.projectId, email: old.state.email };
    for (let n = 0; n < 9; n++) await client.createKey(ref);
    expect(world.google.liveKeys()).toHaveLength(10);
    const next = await world.rotated(old.vendorRef);
    expect(world.google.liveKeys()).toHaveLength(2);
    expect(await world.use(old.job, old.instructions)).toBe("accepted");
    expect(await world.use(next.job, next.instructions)).toBe("accepted");
  });

  it("counts the keys when a refusal does not say that there are too many of them", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const client = world.client as { createKey(ref: unknown): Promise<unknown> };
    for (let n = 0; n < 9; n++) await client.createKey({ projectId: old.state.projectId, email: old.state.email });
    const error = { code: 429, status: "RESOURCE_EXHAUSTED", message: "Maximum number of keys on account reached." };
    world.google.main.faults.add({
      match: { path: "/keys:upload$" },
      when: "before",
      do: { type: "respond", status: 429, headers: { "retry-after": "0" }, body: { error } },
    });
    const job = world.job();
    await job.once("rotate", old.vendorRef);
    expect(world.google.liveKeys().sort()).toEqual(
      [old.job.secret(), job.secret()].map((secret) => world.google.digest(secret)).sort(),
    );
  });

  it("is refused in words on an account that somebody disabled or deleted, whose keys never work", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const client = world.client as Record<"disableAccount" | "deleteAccount", (ref: unknown) => Promise<unknown>>;
    const ref = { projectId: old.state.projectId, email: old.state.email };
    await client.disableAccount(ref);
    await expect(world.rotated(old.vendorRef)).rejects.toMatchObject({
      detail: expect.stringContaining("is disabled"),
    });
    await client.deleteAccount(ref);
    await expect(world.rotated(old.vendorRef)).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringContaining("does not exist any more"),
    });
    expect(world.google.liveKeys()).toEqual([]);
  });

  it("refuses in words when ten keys of the developer are in use", async () => {
    const world = await startWorld();
    let { vendorRef } = await world.provisioned();
    for (let n = 0; n < 9; n++) ({ vendorRef } = await world.rotated(vendorRef));
    expect(world.google.liveKeys()).toHaveLength(10);
    await expect(world.rotated(vendorRef)).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringContaining("10 keys"),
    });
    expect(world.google.liveKeys()).toHaveLength(10);
  });

  it("makes the key anew when the sealed one was lost, and the old one of the lineage survives", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const job = world.job();
    await job.run("rotate", old.vendorRef);
    await job.journal.reopen(["create-key", "verify-key"]);
    await job.run("rotate", old.vendorRef);
    expect(job.delivered).toHaveLength(2);
    expect(world.google.liveKeys().sort()).toEqual(
      [old.job.secret(), job.secret()].map((secret) => world.google.digest(secret)).sort(),
    );
  });
});
