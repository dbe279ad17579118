import { z } from "zod";
import type { ApiClient } from "./api-client.ts";
import type { Instructions, UseKey, Verdict } from "./use-key.ts";

const Issued = z.object({
  key_id: z.string(),
  job_id: z.string(),
  api_key: z.string(),
  instructions: z.record(z.string(), z.unknown()),
});
type Issued = z.infer<typeof Issued>;
const Accepted = z.object({ job_id: z.string(), claim_token: z.string().nullable() });

export interface Line {
  what: string;
  seen: string;
  ok: boolean;
}

export interface LifeOptions {
  api: ApiClient;
  vendor: string;
  developerId: string;
  use: UseKey;
  /** For vendors whose keys a person makes: makes the key that the instructions ask for. */
  makeByHand(instructions: string): Promise<string>;
  report(line: Line): void;
}

const graceMinutes = 60;

/** One key from nothing to proof: made, used, rotated with both working, revoked, refused by the vendor. */
export async function liveThrough(options: LifeOptions): Promise<void> {
  const { api, vendor, report } = options;
  const check = (what: string, seen: string, wanted: string) => report({ what, seen, ok: seen === wanted });
  const used = async (what: string, key: Issued, wanted: Verdict) =>
    check(what, await options.use(key.api_key, key.instructions as Instructions), wanted);

  const first = await askForKey(options, "/api/v1/keys/provision", { developer_id: options.developerId, vendor });
  report({ what: "key provisioned", seen: first.key_id, ok: true });
  const again = await api.call("POST", `/api/v1/jobs/${first.job_id}/claim`, {});
  check("taken a second time", String(again.status), "410");
  const listed = JSON.stringify((await api.call("GET", "/api/v1/keys?status=all")).body);
  check(
    "key in GET /keys",
    listed.includes(JSON.stringify(first.api_key).slice(1, -1)) ? "shown" : "not shown",
    "not shown",
  );
  await used("used at the vendor", first, "accepted");

  const second = await askForKey(options, `/api/v1/keys/${first.key_id}/rotate`, {
    grace_period_minutes: graceMinutes,
  });
  report({ what: "rotated, an hour of grace", seen: second.key_id, ok: second.api_key !== first.api_key });
  await used("new key used", second, "accepted");
  await used("old key used during the grace", first, "accepted");

  for (const [what, key] of [
    ["old", first],
    ["new", second],
  ] as const) {
    const answer = await api.call("POST", `/api/v1/keys/${key.key_id}/revoke`);
    if (answer.status === 202) await api.waitForJob(String(answer.body.job_id), ["succeeded"]);
    const { body } = await api.call("GET", `/api/v1/keys/${key.key_id}`);
    check(`${what} key revoked`, String(body.status), "revoked");
    await used(`${what} key used afterwards`, key, "refused");
  }
}

async function askForKey(options: LifeOptions, path: string, body: unknown): Promise<Issued> {
  const { api } = options;
  const answer = await api.call("POST", path, body);
  if (answer.status === 200) return Issued.parse(answer.body);
  if (answer.status !== 202) throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  const { job_id, claim_token } = Accepted.parse(answer.body);
  let job = await api.waitForJob(job_id, ["succeeded", "waiting_for_input", "failed", "cancelled", "needs_attention"]);
  if (job.status === "waiting_for_input") {
    const waiting = z.object({ instructions: z.string() }).parse(job.waiting);
    const given = await api.call("POST", `/api/v1/jobs/${job_id}/input`, {
      api_key: await options.makeByHand(waiting.instructions),
    });
    if (given.status >= 300) throw new Error(`The key was not taken: ${JSON.stringify(given.body)}`);
    job = await api.waitForJob(job_id, ["succeeded", "failed", "waiting_for_input", "needs_attention"]);
  }
  if (job.status !== "succeeded") throw new Error(`The job is ${job.status}: ${JSON.stringify(job.error)}`);
  const claimed = await api.call("POST", `/api/v1/jobs/${job_id}/claim`, { claim_token });
  if (claimed.status !== 200) throw new Error(`The key could not be taken: ${JSON.stringify(claimed.body)}`);
  return Issued.parse(claimed.body);
}
