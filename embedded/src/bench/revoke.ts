import { openDirectVendor } from "./direct.ts";
import { percent, pump, shown } from "./figures.ts";
import type { BenchRun, Scenario } from "./scenario.ts";
import { stockKeys } from "./stock.ts";

const limitPerMinute = 60;
const directAtOnce = 64;

interface Progress {
  keys_total: number;
}

/** The leak button on thousands of keys, against what the vendor itself allows. */
export const revoke: Scenario = async (run) => {
  const { ground, quick, say } = run;
  const count = quick ? 100 : 5_000;
  const direct = openDirectVendor(ground.vendorUrl, ground.vendorKey);
  await ground.freshVendor(0);
  say(`making ${count} keys at the vendor`);
  const forDirect = await stockKeys(ground, direct, { count: Math.ceil(count / 5), tag: "direct" });
  const ours = await stockKeys(ground, direct, { count, tag: "batch" });
  say("revoking at the vendor directly");
  const limit = await pump(forDirect.made.length, directAtOnce, (index) => {
    const made = forDirect.made[index];
    return made ? direct.revoke(made) : Promise.resolve();
  });
  await ground.sql.query("update keys set status = 'revoked' where developer_id = $1", [forDirect.developerId]);

  say(`revoking ${count} keys through KeyGate`);
  const clicked = performance.now();
  const batch = await ground.client.must([202, 200], "POST", "/keys/revoke", { team: ours.team }, "respond-async");
  const answeredMs = performance.now() - clicked;
  const { keys_total: total } = batch as unknown as Progress;
  if (total !== count) throw new Error(`The batch holds ${total} keys, not ${count}.`);
  const firstMs = await untilFirst(run, ours.developerId, clicked);
  await ground.settle();
  const seconds = (performance.now() - clicked) / 1000;
  const perSecond = count / seconds;

  say(`a vendor that allows ${limitPerMinute} calls of a kind in a minute`);
  const slow = await underLimit(run);
  await ground.freshVendor(0);
  await direct.close();
  return {
    title: "Revoking many",
    method: [
      `\`POST /keys/revoke\` for a team with ${count.toLocaleString("en-US")} live OpenAI keys. Each takes eight vendor calls: key and account deleted, both looked for, the ` +
        `project archived and looked at. Beside it the same calls made directly, ${directAtOnce} keys at once: what the vendor itself can do.`,
      `Then a vendor that allows ${limitPerMinute} calls a minute of each kind and answers 429 without a hint: when after the click it first said so, and how ` +
        "much of what it allows in the first minute was used.",
    ],
    columns: [
      "Keys",
      "Answer to the click ms",
      "First revocation after ms",
      "All after s",
      "KeyGate/s",
      "Direct/s",
      "Share",
      "Limited: reached after ms",
      "Limited: used of the minute",
    ],
    rows: [
      [
        String(count),
        shown(answeredMs),
        shown(firstMs),
        shown(seconds),
        shown(perSecond),
        shown(limit.perSecond),
        percent(perSecond / limit.perSecond),
        shown(slow.reachedMs),
        `${slow.used} of ${limitPerMinute}`,
      ],
    ],
    targets: [
      {
        what: "A batch keeps the vendor at its limit after the click within",
        wanted: "≤ 2 s",
        measured: `${shown(slow.reachedMs / 1000)} s`,
        met: slow.reachedMs <= 2_000,
      },
    ],
  };
};

/** Milliseconds from the click until the first key was confirmed to be gone. */
async function untilFirst({ ground }: BenchRun, developerId: string, clicked: number): Promise<number> {
  for (;;) {
    const { rows } = await ground.sql.query(
      "select 1 from keys where developer_id = $1 and status = 'revoked' limit 1",
      [developerId],
    );
    if (rows.length > 0) return performance.now() - clicked;
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** How soon a batch has the vendor at its limit, and how many deletions of those allowed it makes in the first minute. */
async function underLimit({ ground, quick }: BenchRun): Promise<{ reachedMs: number; used: number }> {
  const direct = openDirectVendor(ground.vendorUrl, ground.vendorKey);
  await ground.freshVendor(0);
  const keys = await stockKeys(ground, direct, { count: limitPerMinute * 3, tag: "limited" });
  await ground.control("settings", { rate_limit_per_minute_per_endpoint: limitPerMinute });
  const before = (await ground.vendorCalls()).length;
  const clicked = performance.now();
  const clickedAt = Date.now();
  await ground.client.must([202, 200], "POST", "/keys/revoke", { team: keys.team }, "respond-async");
  const observeMs = quick ? 5_000 : 60_000;
  await new Promise((done) => setTimeout(done, observeMs - (performance.now() - clicked)));
  const calls = (await ground.vendorCalls()).slice(before);
  const deletions = calls.filter(({ method, path }) => method === "DELETE" && path.includes("/api_keys/"));
  const firstRefusal = calls.find(({ status }) => status === 429);
  // Without the limit the rest is quickly done.
  await ground.control("settings", { rate_limit_per_minute_per_endpoint: null });
  await ground.sql.query(
    "update jobs set run_at = now(), enqueued_at = null where state in ('queued', 'waiting_for_vendor') and run_at > now()",
  );
  await ground.settle();
  await direct.close();
  return {
    reachedMs: firstRefusal ? firstRefusal.at - clickedAt : Number.POSITIVE_INFINITY,
    used: deletions.filter(({ status }) => status === 200).length,
  };
}
