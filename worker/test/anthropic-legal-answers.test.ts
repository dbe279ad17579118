import { must } from "@keygate/shared/errors";
import { describe, expect, it } from "vitest";
import { WaitForVendor } from "../src/saga/wait.ts";
import { anthropic } from "../src/vendors/anthropic/adapter.ts";
import type { AnthropicClient } from "../src/vendors/anthropic/client.ts";
import { classifyAnthropic, classifyGivenKey, isGone } from "../src/vendors/anthropic/errors.ts";
import { adminOf, developerOf, personal, waitingJob } from "./anthropic-stage.ts";
import { persist, startWorld, statusOf, type World } from "./anthropic-support.ts";

const typed = (client: unknown) => client as AnthropicClient;

/** The next call to that path is answered like this instead. */
function answerOnce(world: World, method: string, path: string, status: number, body: unknown, times = 1): void {
  world.server.faults.add({
    match: { method, path },
    times,
    when: "before",
    do: typeof body === "string" ? { type: "respond", status, text: body } : { type: "respond", status, body },
  });
}

const refusal = (json: unknown, status: number) => ({
  status,
  headers: {},
  json,
  call: { method: "GET", endpoint: "x" },
});
const webPage = "<html><body><h1>404 Not Found</h1></body></html>";

describe("Anthropic's lists", () => {
  const limit = (over: Record<string, unknown>) => ({
    ...{ id: "spl_1", type: "spend_limit", amount: "5000", currency: "USD", is_enabled: true, period: "monthly" },
    ...over,
  });

  it("may hold spend limits without an amount, and of scopes that are none of ours", async () => {
    const world = await startWorld({ spend_limits: "enabled" });
    const data = [
      limit({ amount: null, scope: { type: "organization" } }),
      limit({ id: "spl_2", amount: "12050.5", scope: { type: "usage_tier" } }),
    ];
    answerOnce(world, "GET", "/spend_limits$", 200, { data, next_page: null });
    const report = await anthropic.check(world.client);
    expect(report.findings.find(({ name }) => name === "spend limits")).toMatchObject({ ok: true });
  });

  it("are compared by the workspace's monthly limit only", async () => {
    const world = await startWorld({ spend_limits: "enabled" });
    const { vendorRef } = await world.provisioned();
    const scope = { type: "workspace", workspace_id: vendorRef.workspaceId };
    const data = [limit({ amount: "100", period: "daily", scope }), limit({ id: "spl_2", scope })];
    answerOnce(world, "GET", "/spend_limits$", 200, { data, next_page: null });
    const scan = { client: world.client, once: <T>(_name: string, make: () => Promise<T>) => make() };
    const { inventory } = anthropic;
    const item = must(await inventory.find(scan as never, vendorRef as never), "the workspace");
    const seen = await inventory.look(scan as never, item);
    expect(inventory.driftOf(seen, vendorRef as never)).toEqual([]);
  });

  it("may call a model group by another name one day, which changes no limit", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    const scan = { client: world.client, once: <T>(_name: string, make: () => Promise<T>) => make() };
    const item = must(await anthropic.inventory.find(scan as never, vendorRef as never), "the workspace");
    const driftWith = async (requestsPerMinute: number) => {
      const data = must(vendorRef.rateLimits, "rate limits").map(({ entryId }, index) => ({
        rate_limit_id: entryId,
        group: { type: "model_group", display_name: `Renamed ${index}` },
        models: null,
        limits: [{ type: "requests_per_minute", value: requestsPerMinute, org_limit: 4000 }],
      }));
      answerOnce(world, "GET", "/workspaces/[^/]+/rate_limits$", 200, { data, next_page: null });
      return anthropic.inventory.driftOf(await anthropic.inventory.look(scan as never, item), vendorRef as never);
    };
    expect(await driftWith(60)).toEqual([]);
    expect(await driftWith(61)).toHaveLength(1);
  });

  it.each([
    ["by id", "/api_keys$", { data: [], has_more: true, first_id: null, last_id: null }],
    ["by cursor", "/organizations/rate_limits$", { data: [], next_page: "page_same" }],
  ])("never pass for whole when they say that they go on, but not how: %s", async (_how, path, body) => {
    const world = await startWorld();
    answerOnce(world, "GET", path, 200, body, 0);
    const client = typed(world.client);
    const read = path.startsWith("/api_keys") ? client.listAllKeys() : client.listRateLimits();
    await expect(read).rejects.toMatchObject({ code: "vendor.unexpected" });
  });

  it("may lag behind the Console: the given key is looked for again before anybody is asked again", async () => {
    const { world, job, waiting } = await waitingJob();
    world.server.mergeSettings({ list_lag_ms: 4_000 });
    const { id, secret } = await world.makeAskedKey(waiting);
    await expect(job.run("provision", secret)).rejects.toBeInstanceOf(WaitForVendor);
    expect(job.delivered).toEqual([]);
    world.server.advanceClock(4_000);
    expect((await job.run("provision", secret)).keyId).toBe(id);
    expect(job.delivered).toEqual([secret]);
  });

  it("are believed in the end, and then the person is asked again", async () => {
    const { world, job, waiting } = await waitingJob();
    world.server.mergeSettings({ list_lag_ms: 3_600_000 });
    const { secret } = await world.makeAskedKey(waiting);
    await expect(job.run("provision", secret)).rejects.toBeInstanceOf(WaitForVendor);
    world.server.advanceClock(anthropic.settleMs);
    expect((await job.untilWaiting("provision", secret)).refusal).toMatch(/does not show the key/);
  });
});

describe("Anthropic's refusals, in every shape that they may have", () => {
  it("keep their code when other members are absent or odd", () => {
    const code = "spend_limits_admin_api_writes_not_enabled";
    for (const error of [
      { details: { error_code: code } },
      { type: 7, message: null, details: { error_code: code } },
    ]) {
      expect(classifyAnthropic(refusal({ type: "error", error }, 403)).code).toBe("vendor.limits_unsupported");
    }
    const odd = classifyAnthropic(refusal({ error: { type: "conflict_error", message: "m", details: ["x"] } }, 409));
    expect(odd).toMatchObject({ code: "vendor.refused", detail: "Anthropic says: m" });
  });

  it("lead to a declared budget also when the organization's kind is told with another status", async () => {
    const world = await startWorld();
    const details = { error_code: "organization_type_not_supported" };
    const error = { type: "invalid_request_error", message: "Not for this kind of organization.", details };
    answerOnce(world, "POST", "/spend_limits$", 400, { type: "error", error });
    const { state, job } = await world.provisioned();
    expect(state.spendLimitMicros).toBeUndefined();
    expect(job.describe(state).limits.find(({ limit }) => limit === "budget")?.enforced_by).toBe("declared");
  });

  it("are Anthropic's only when they look like it: a gateway's 404 page makes nothing gone", async () => {
    expect(isGone(classifyAnthropic(refusal(undefined, 404)))).toBe(false);
    expect(isGone(classifyAnthropic(refusal({ type: "error", error: { type: "not_found_error" } }, 404)))).toBe(true);
    // For a person the page is an answer that can be looked into, so the job goes on waiting.
    expect(classifyGivenKey(refusal(undefined, 404)).code).toBe("job.input_refused");

    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    answerOnce(world, "POST", "/api_keys/", 404, webPage, 0);
    answerOnce(world, "GET", "/api_keys/", 404, webPage, 0);
    const job = world.job();
    await expect(job.run("revoke-last", null, vendorRef)).rejects.toMatchObject({ code: "vendor.unexpected" });
    expect(job.journal.statusOf("disable-key")).not.toBe("done");
    world.server.faults.clear();
    await job.run("revoke-last", null, vendorRef);
    expect(world.fixture.liveKeys()).toEqual([]);
  });

  it("of an expired key that may not be deleted are no debt: nobody can revive it", async () => {
    const world = await startWorld();
    const { vendorRef, job: made } = await world.provisioned();
    world.server.advanceClock(must(made.key.expiresAt, "expiry").getTime() - world.server.now() + 1_000);
    const error = { type: "invalid_request_error", message: "The API key has expired." };
    answerOnce(world, "POST", "/api_keys/", 400, { type: "error", error }, 0);
    await world.job().run("revoke", null, vendorRef);
    expect(statusOf(world, vendorRef.keyId)).toBe("expired");
    expect(world.fixture.liveKeys()).toEqual([]);
  });
});

describe("a limit that Anthropic confirms", () => {
  it("is never promised to act at once where the vendor takes its time", async () => {
    const world = await startWorld();
    const { state, job } = await world.provisioned();
    const rate = job.describe(state).limits.find(({ limit }) => limit === "rate_limit");
    expect(rate).toMatchObject({ enforced_by: "vendor", delay: expect.stringMatching(/hour/) });
  });

  it("is told in the currency that it is in, and is none without an amount", async () => {
    const world = await startWorld({ spend_limits: "enabled" });
    const confirmed = async (over: Record<string, unknown>) => {
      const scope = { type: "workspace", workspace_id: "wrkspc_x" };
      answerOnce(world, "POST", "/spend_limits$", 200, { id: "spl_1", amount: "5000", scope, ...over });
      const { state, job } = await world.provisioned();
      return job.describe(state).limits.find(({ limit }) => limit === "budget");
    };
    expect(await confirmed({ currency: "EUR" })).toMatchObject({
      enforced_by: "vendor",
      fine_print: expect.stringContaining("EUR"),
    });
    expect((await confirmed({ currency: "usd" }))?.fine_print).not.toContain("currency");
    expect(await confirmed({ amount: null })).toMatchObject({ enforced_by: "declared" });
  });
});

describe("a given key whose entry looks different", () => {
  it("is a workspace key when nothing is said about a principal", async () => {
    const { world, job, waiting, workspaceId } = await waitingJob();
    const { id, secret, name } = await world.makeAskedKey(waiting);
    const entry = {
      ...{ id, name, status: "active", partial_key_hint: null, created_at: new Date().toISOString() },
      expires_at: job.key.expiresAt?.toISOString(),
      scope: { type: "workspace", workspace_id: workspaceId },
    };
    answerOnce(world, "GET", "/api_keys$", 200, { data: [entry], has_more: false, first_id: id, last_id: id });
    expect(await job.run("provision", secret)).toMatchObject({ keyId: id, keyKind: "workspace" });
  });

  it.each(["owner", "primary_owner", "membership_admin", "something_new", undefined])(
    "is nobody's to hand over when its owner's role is %s, even as the developer's own",
    async (role) => {
      const { world, job, waiting } = await waitingJob({ developerEmail: "dev@simulated.example" });
      const developer = developerOf(world);
      const { secret } = await world.makeAskedKey(waiting, personal(developer));
      const user = { id: developer.id, type: "user", email: developer.email, ...(role ? { role } : {}) };
      answerOnce(world, "GET", "/users$", 200, { data: [user], has_more: false, first_id: null, last_id: null });
      expect((await job.untilWaiting("provision", secret)).refusal).toMatch(/somebody's personal key/);
      expect(adminOf(world).id).not.toBe(developer.id);
    },
  );
});

describe("the configured address", () => {
  it.each(["", "/", "/v1", "/v1/"])("may end in %j", async (end) => {
    const world = await startWorld();
    const base_url = `${world.server.url}${end}`;
    const client = typed(world.connect({ extra: { base_url } }));
    expect((await client.me()).id).toBe(world.books().organization.id);
    expect(client.connection.baseUrl).toBe(`${world.server.url}/v1`);
  });
});

describe("a workspace whose creation was not answered, on a list that lags", () => {
  it("is waited for and adopted, never made twice", async () => {
    const world = await startWorld({ list_lag_ms: 50 });
    world.server.faults.add({ match: { method: "POST", path: "/workspaces$" }, when: "after", do: { type: "drop" } });
    const job = world.job();
    await expect(job.run("provision")).rejects.toMatchObject({ kind: "ambiguous" });
    // The runner waits out the settle time when it finds nothing; here the vendor's clock stands for it.
    expect(await anthropic.provision[1]?.find?.(job.contextWith(null), job.journal.made())).toBeNull();
    world.server.advanceClock(50);
    await persist(() => job.untilWaiting());
    expect(world.fixture.leftovers()).toHaveLength(1);
  });
});

describe("a workspace that Anthropic has just made", () => {
  it("is waited for where it is not found at first", async () => {
    const world = await startWorld();
    const gone = { type: "error", error: { type: "not_found_error", message: "no such workspace" } };
    answerOnce(world, "POST", "/rate_limits/", 404, gone);
    answerOnce(world, "GET", "/workspaces/[^/]+$", 404, gone);
    const job = world.job();
    for (let looks = 0; looks < 2; looks++) {
      await expect(job.run("provision")).rejects.toBeInstanceOf(WaitForVendor);
    }
    await job.untilWaiting();
    expect(world.books().workspaces.filter(({ is_default }) => !is_default)).toHaveLength(1);
  });
});
