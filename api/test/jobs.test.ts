import type { JobId } from "@keygate/shared/contracts/ids";
import { JobDetail, JobView } from "@keygate/shared/contracts/jobs";
import { jobRows } from "@keygate/shared/db/jobs";
import { sagaStepRows } from "@keygate/shared/db/saga-steps";
import { newId } from "@keygate/shared/ids";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  confirmEnd,
  type FakeWorker,
  failKey,
  hold,
  issueKey,
  putJobBack,
  startFakeWorker,
  until,
} from "./fake-worker.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import { addDeveloper, askForKey, async202, auditOf, jobOf, keyOf, makeActiveKey, placesOf } from "./keys-support.ts";

let api: ApiHarness;
let worker: FakeWorker | undefined;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
});
afterAll(() => api?.close());

describe("GET /jobs", () => {
  test("lists by filter and page, newest first", async () => {
    const asked = [await askForKey(api), await askForKey(api), await askForKey(api)];
    const page = await api.call("GET", "/jobs?status=queued&kind=provision&vendor=openai&limit=2");
    expect(page.body.map((job: { id: string }) => job.id)).toEqual([asked[2]?.body.job_id, asked[1]?.body.job_id]);
    for (const job of page.body) expect(JobView.parse(job)).toEqual(job);
    expect(page.headers.get("link")).toContain("cursor=");
    const one = await api.call("GET", `/jobs?key_id=${asked[0]?.body.key_id}`);
    expect(one.body).toHaveLength(1);
    expect((await api.call("GET", "/jobs?status=odd")).status).toBe(422);
    expect((await api.call("GET", "/jobs", { token: null })).status).toBe(401);
  });

  test("lists what is about any key of one developer, and nothing of others", async () => {
    const developer_id = await addDeveloper(api);
    const mine = [await askForKey(api, { developer_id }), await askForKey(api, { developer_id })];
    await askForKey(api);
    const { body } = await api.call("GET", `/jobs?developer_id=${developer_id}`);
    expect(body.map((job: { id: string }) => job.id)).toEqual([mine[1]?.body.job_id, mine[0]?.body.job_id]);
    expect((await api.call("GET", "/jobs?developer_id=key-1")).status).toBe(422);
  });

  test("tells with the vendors how many jobs the vendor's own pace keeps waiting, and until when", async () => {
    const asked = [await askForKey(api), await askForKey(api)];
    const error = { code: "vendor.throttled", title: "The vendor limits us", detail: "Waiting for our turn." };
    for (const [at, { body }] of asked.entries()) {
      const { lease } = await hold(api.deps, body.job_id);
      const delayMs = (at + 1) * 60_000;
      await jobRows(api.deps.db).putBack(lease, { state: "queued", delayMs, error, countAttempt: false });
    }
    const { body } = await api.call("GET", "/vendors");
    expect(body[0].throttling.jobs_waiting).toBe(2);
    expect(Date.parse(body[0].throttling.next_try_at) - Date.now()).toBeGreaterThan(30_000);
    expect(Date.parse(body[0].throttling.next_try_at) - Date.now()).toBeLessThan(61_000);
  });

  test("shows one with its steps, without what they made", async () => {
    const { body } = await askForKey(api);
    const { lease } = await hold(api.deps, body.job_id);
    const steps = sagaStepRows(api.deps.db);
    await steps.start(lease, { name: "create-project", position: 1, of: 3 });
    const next = { name: "set-limits", position: 2, of: 3 };
    await steps.finish(lease, { name: "create-project", made: { projectId: "proj_77" } }, next);
    const shown = await api.call("GET", `/jobs/${body.job_id}`, { token: api.auditor.token });
    expect(JobDetail.parse(shown.body)).toEqual(shown.body);
    expect(shown.body).toMatchObject({
      status: "running",
      step: { name: "set-limits", number: 2, of: 3 },
      steps: [
        { name: "create-project", status: "done" },
        { name: "set-limits", status: "started" },
      ],
    });
    expect(shown.text).not.toContain("proj_77");
    expect((await api.call("GET", `/jobs/${newId("job")}`)).body.code).toBe("job.not_found");
    expect((await api.call("GET", "/jobs/1")).status).toBe(404);
  });
});

interface Event {
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: a parsed event is compared, not worked with
  data: any;
}

async function openEvents(id: string, signal?: AbortSignal) {
  const response = await fetch(`${api.url}/api/v1/jobs/${id}/events`, {
    headers: { authorization: `Bearer ${api.owner.token}` },
    ...(signal ? { signal } : {}),
  });
  const events: Event[] = [];
  const read = async () => {
    let text = "";
    for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const fields = text
          .slice(0, end)
          .split("\n")
          .map((line) => line.split(/: ?(.*)/s));
        text = text.slice(end + 2);
        const { event = "", data = "null" } = Object.fromEntries(fields);
        events.push({ event, data: JSON.parse(data) });
      }
    }
  };
  return { response, events, done: read() };
}

describe("GET /jobs/{id}/events", () => {
  test("tells the job as it is, every change, and ends with the job", async () => {
    const { body } = await askForKey(api);
    const stream = await openEvents(body.job_id);
    expect(stream.response.headers.get("content-type")).toContain("text/event-stream");
    await until(async () => stream.events.length > 0, "the first event");
    await putJobBack(api.deps, body.job_id, "waiting_for_vendor", {
      waiting: { reason: "the vendor is slow", instructions: null, link: null },
    });
    await until(async () => stream.events.at(-1)?.data.status === "waiting_for_vendor", "the change");
    const secret = await issueKey(api.deps, body.job_id);
    await stream.done;
    expect(stream.events.every(({ event, data }) => event === "job" && JobView.parse(data))).toBe(true);
    expect(stream.events[0]?.data.status).toBe("queued");
    expect(stream.events.find(({ data }) => data.waiting)?.data.waiting.reason).toBe("the vendor is slow");
    expect(stream.events.at(-1)?.data).toMatchObject({ status: "succeeded", claim: { available: true } });
    expect(JSON.stringify(stream.events)).not.toContain(secret);
  });

  test("tells the progress of a batch", async () => {
    const developer_id = await addDeveloper(api);
    await makeActiveKey(api, { developer_id });
    await makeActiveKey(api, { developer_id });
    const batch = await api.call("POST", "/keys/revoke", { body: { developer_id }, headers: async202 });
    const stream = await openEvents(batch.body.job_id);
    const { items } = await jobRows(api.deps.db).list({ parent_id: batch.body.job_id, limit: 10 });
    const [first, second] = items.map((job) => job.id) as [JobId, JobId];
    await confirmEnd(api.deps, first);
    await until(async () => stream.events.at(-1)?.data.progress.succeeded === 1, "the first half");
    await confirmEnd(api.deps, second);
    await stream.done;
    expect(stream.events.at(-1)?.data).toMatchObject({ status: "succeeded", progress: { total: 2, succeeded: 2 } });
  });

  test("ends at once for a job that has ended, and refuses unknown ones", async () => {
    const { jobId } = await makeActiveKey(api);
    const stream = await openEvents(jobId);
    await stream.done;
    expect(stream.events).toHaveLength(1);
    expect((await openEvents(newId("job"))).response.status).toBe(404);
    expect((await openEvents("job-1")).response.status).toBe(404);
    expect((await api.call("GET", `/jobs/${jobId}/events`, { token: null })).status).toBe(401);
  });

  test("lets go of a client that has gone", async () => {
    const { body } = await askForKey(api);
    const subscribe = vi.spyOn(api.deps.jobWatcher, "subscribe");
    const ended = vi.fn();
    subscribe.mockImplementationOnce(() => ended);
    const gone = new AbortController();
    const { done } = await openEvents(body.job_id, gone.signal);
    const failed = expect(done).rejects.toThrow();
    gone.abort();
    await failed;
    await until(async () => ended.mock.calls.length === 1, "the end of the subscription");
    subscribe.mockRestore();
  });
});

describe("POST /jobs/{id}/input", () => {
  const waiting = { reason: "make the key in the Console", instructions: "Go there.", link: "https://example.com" };
  const pasted = "sk-ant-api03-somebody-pasted-this-one";
  const give = (id: string, body: object = { api_key: pasted }, headers: Record<string, string> = {}) =>
    api.call("POST", `/jobs/${id}/input`, { body, headers });
  const waitingJob = async () => {
    const { body } = await askForKey(api);
    await putJobBack(api.deps, body.job_id, "waiting_for_input", { waiting });
    return body as { job_id: JobId; key_id: string };
  };

  test("hands the key to the worker sealed, and answers 200 when it was the right one", async () => {
    const { job_id: id, key_id: keyId } = await waitingJob();
    expect((await api.call("GET", `/jobs/${id}`)).body.waiting).toEqual(waiting);
    const given: string[] = [];
    worker = startFakeWorker(api.deps, {
      async provision(job) {
        if (job.id !== id) return;
        given.push(api.deps.keyring.open(job.sealed_input, `jobs/${id}/input`).reveal());
        expect(await placesOf(api, pasted)).toEqual([]);
        await issueKey(api.deps, id);
      },
    });
    expect(await give(id)).toMatchObject({ status: 200, body: { id, status: "succeeded" } });
    expect(given).toEqual([pasted]);
    expect(await placesOf(api, pasted)).toEqual([]);
    expect(await auditOf(api, keyId)).toContain("key.input requested");
  });

  test("answers 422 with the reason when it was the wrong one, and the job goes on waiting", async () => {
    const { job_id: id } = await waitingJob();
    const error = { code: "job.input_refused", title: "", detail: "This key belongs to another workspace." };
    worker = startFakeWorker(api.deps, {
      provision: (job) =>
        job.id === id ? putJobBack(api.deps, id, "waiting_for_input", { error, waiting }) : Promise.resolve(),
    });
    expect(await give(id)).toMatchObject({ status: 422, body: { code: error.code, detail: error.detail, job_id: id } });
    expect((await jobOf(api, id)).state).toBe("waiting_for_input");
    expect((await give(id)).status).toBe(422);
  });

  test("answers 202 before the worker has looked, and 409 when nothing is waited for", async () => {
    const { job_id: id } = await waitingJob();
    const answer = await give(id, { api_key: pasted }, async202);
    expect(answer).toMatchObject({ status: 202, body: { id, status: "queued" } });
    expect(answer.headers.get("location")).toBe(`/api/v1/jobs/${id}`);
    expect(await give(id)).toMatchObject({ status: 409, body: { code: "job.not_waiting_for_input" } });
    expect((await give(newId("job"))).status).toBe(404);
    expect((await give(id, {})).status).toBe(422);
  });
});

describe("POST /jobs/{id}/retry and /cancel", () => {
  const steer = (id: string, how: "retry" | "cancel", token = api.owner.token) =>
    api.call("POST", `/jobs/${id}/${how}`, { token });

  test("runs a waiting job again now", async () => {
    const { body } = await askForKey(api);
    await putJobBack(api.deps, body.job_id, "waiting_for_vendor");
    const adding = vi.spyOn(api.deps.queues, "add");
    expect(await steer(body.job_id, "retry")).toMatchObject({ status: 202, body: { status: "queued", attempts: 0 } });
    expect(adding).toHaveBeenCalledOnce();
    adding.mockRestore();
    expect(await auditOf(api, body.job_id)).toEqual(["job.retry requested"]);
  });

  test("stops a job, of which nothing is left", async () => {
    const { body } = await askForKey(api);
    expect((await steer(body.job_id, "cancel")).status).toBe(202);
    expect((await jobOf(api, body.job_id)).cancel_requested).toBe(true);
    await issueKey(api.deps, body.job_id);
    expect(await jobOf(api, body.job_id)).toMatchObject({ state: "cancelled" });
    expect((await keyOf(api, body.key_id)).status).toBe("failed");
    expect(await auditOf(api, body.job_id)).toEqual(["job.cancel requested"]);
  });

  test("refuses what cannot be steered", async () => {
    const { body } = await askForKey(api);
    await failKey(api.deps, body.job_id, { code: "job.failed", title: "", detail: "No." });
    expect(await steer(body.job_id, "retry")).toMatchObject({ status: 409, body: { code: "job.not_retryable" } });
    expect(await steer(body.job_id, "cancel")).toMatchObject({ status: 409, body: { code: "job.not_cancellable" } });
    expect((await steer(newId("job"), "cancel")).status).toBe(404);
    expect((await steer(body.job_id, "cancel", api.auditor.token)).status).toBe(403);
    expect(await auditOf(api, body.job_id)).toEqual([]);
  });
});
