import { KeyGateError } from "@keygate/shared/errors";
import { describe, expect, it } from "vitest";
import { WaitForVendor } from "../src/saga/wait.ts";
import { startWorld, type World } from "./google-vertex-support.ts";

type Details = Record<string, unknown>[];

/** Lets calls be refused as Google does it. */
function refuse(
  world: World,
  match: { method?: string; path: string },
  refusal: { status: number; code: string; message?: string; details?: Details },
  times = 1,
): void {
  const { status, code, message = "simulated", details } = refusal;
  const error = { code: status, status: code, message, ...(details && { details }) };
  world.google.main.faults.add({ match, times, when: "before", do: { type: "respond", status, body: { error } } });
}

const denied = (permission: string) => ({
  status: 403,
  code: "PERMISSION_DENIED",
  details: [
    {
      "@type": "type.googleapis.com/google.rpc.ErrorInfo",
      reason: "IAM_PERMISSION_DENIED",
      domain: "iam.googleapis.com",
      metadata: { permission },
    },
  ],
});

const account = "/serviceAccounts/[^/:]+$";

describe("a new account that Google refuses rather than admits not to know", () => {
  it.each([
    ["its first look", { method: "GET", path: account }, "iam.serviceAccounts.get"],
    ["the upload of its key", { path: "/keys:upload$" }, "iam.serviceAccountKeys.create"],
    ["the look at its key", { method: "GET", path: "/keys/[^/:]+$" }, "iam.serviceAccountKeys.get"],
  ])("is waited for at %s, and the credential is not blamed", async (_, match, permission) => {
    const world = await startWorld();
    const job = world.job();
    refuse(world, match, denied(permission));
    await expect(job.once("provision")).rejects.toBeInstanceOf(WaitForVendor);
    refuse(world, match, { status: 403, code: "PERMISSION_DENIED" });
    await expect(job.once("provision")).rejects.toBeInstanceOf(WaitForVendor);
    await job.run("provision");
    expect(world.google.liveKeys()).toEqual([world.google.digest(job.secret())]);
    expect(job.delivered).toHaveLength(1);
  });

  it("is waited for when it is looked for after a lost answer, and when its job is undone", async () => {
    const world = await startWorld();
    const job = world.job();
    const { faults } = world.google.main;
    faults.add({ match: { method: "POST", path: "/serviceAccounts$" }, when: "after", do: { type: "drop" } });
    await expect(job.once("provision")).rejects.toMatchObject({ code: "vendor.no_answer" });
    refuse(world, { method: "GET", path: account }, denied("iam.serviceAccounts.get"));
    await expect(job.once("provision")).rejects.toBeInstanceOf(WaitForVendor);
    await job.run("provision");
    refuse(world, { path: ":disable$" }, denied("iam.serviceAccounts.disable"));
    await expect(job.undoOnce("provision")).rejects.toBeInstanceOf(WaitForVendor);
    await job.undo("provision");
    expect(world.google.leftovers()).toEqual([]);
  });

  it("is no excuse for a permission that is really missing, which is named at once", async () => {
    const world = await startWorld({ admin_lacks: ["iam.serviceAccountKeys.create"] });
    await expect(world.job().once("provision")).rejects.toMatchObject({
      code: "vendor.refused_us",
      detail: expect.stringContaining("Missing: iam.serviceAccountKeys.create"),
    });
  });

  it("is no excuse for ever", async () => {
    const world = await startWorld();
    const job = world.job();
    refuse(world, { path: "/keys:upload$" }, denied("iam.serviceAccountKeys.create"), 0);
    await expect(job.run("provision")).rejects.toMatchObject({ code: "vendor.refused_us" });
  });
});

describe("a key for a new account", () => {
  it.each([
    [400, "INVALID_ARGUMENT"],
    [404, "NOT_FOUND"],
  ])("is uploaded in the end when Google answers %i at first", async (status, code) => {
    const world = await startWorld();
    const job = world.job();
    const message = "Service account keygate-x does not exist.";
    refuse(world, { path: "/keys:upload$" }, { status, code, message }, 2);
    await expect(job.once("provision")).rejects.toMatchObject({ nothingHappened: true });
    await expect(job.once("provision")).rejects.toMatchObject({ nothingHappened: true });
    // Nothing was made, so nothing will be looked for, and the settle time of two minutes is not waited out.
    expect(job.journal.statusOf("create-key")).toBeUndefined();
    const state = await job.once("provision");
    expect(state.keyMadeBy).toBe("upload");
    expect(world.google.liveKeys()).toEqual([world.google.digest(job.secret())]);
  });
});

describe("a policy that does not like the grant of a new account", () => {
  const write = { path: ":setIamPolicy$" };

  it("is believed at once when an organization policy forbids it, and the policy is named", async () => {
    const world = await startWorld();
    const violations = [{ type: "constraints/iam.allowedPolicyMemberDomains", subject: "s", description: "d" }];
    const details = [{ "@type": "type.googleapis.com/google.rpc.PreconditionFailure", violations }];
    refuse(world, write, { status: 400, code: "FAILED_PRECONDITION", details }, 0);
    await expect(world.job().once("provision")).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringContaining("iam.allowedPolicyMemberDomains"),
    });
  });

  it.each([
    ["four minutes when it does not know the account", "Service account k does not exist.", 60_000, 240_000],
    ["not a minute when it says something else", "Policy members must be valid.", 5_000, 45_000],
  ])("is asked again for %s", async (_, message, stillMs, overMs) => {
    const world = await startWorld();
    const job = world.job();
    refuse(world, write, { status: 400, code: "INVALID_ARGUMENT", message }, 0);
    await expect(job.once("provision")).rejects.toBeInstanceOf(WaitForVendor);
    world.google.advance(stillMs);
    await expect(job.once("provision")).rejects.toBeInstanceOf(WaitForVendor);
    world.google.advance(overMs);
    const error: unknown = await job.once("provision").catch((each: unknown) => each);
    expect(error).toBeInstanceOf(KeyGateError);
    expect(error).toMatchObject({ code: "vendor.refused", detail: expect.stringContaining(message) });
    await job.undo("provision");
    expect(world.google.leftovers()).toEqual([]);
  });
});

describe("the end of a key whose account is new", () => {
  it("is not believed for one 404 of an account that was seen before", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    const job = world.job();
    refuse(world, { path: ":disable$" }, { status: 404, code: "NOT_FOUND" });
    refuse(world, { method: "GET", path: account }, { status: 404, code: "NOT_FOUND" });
    await expect(job.once("revoke-last", vendorRef)).rejects.toBeInstanceOf(WaitForVendor);
    expect(world.google.liveKeys()).toHaveLength(1);
    await job.once("revoke-last", vendorRef);
    expect(world.google.liveKeys()).toEqual([]);
    expect(world.google.leftovers()).toEqual([]);
  });
});

describe("the requests", () => {
  it("name accounts as Google's documentation does", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    await world.job().run("revoke-last", vendorRef);
    const named = world.google.main.calls().filter(({ path }) => path.includes("/serviceAccounts/"));
    expect(named.length).toBeGreaterThan(5);
    expect(named.every(({ path }) => path.includes("@keygate-sim.iam.gserviceaccount.com"))).toBe(true);
  });
});
