import { openDirectVendor } from "./direct.ts";
import { median, shown } from "./figures.ts";
import type { Scenario } from "./scenario.ts";
import { stockKeys } from "./stock.ts";

const betweenRevocationsMs = 1_000;

/** A hundred thousand keys that are due at once, and a person who revokes one meanwhile. */
export const expiry: Scenario = async ({ ground, quick, say }) => {
  const { sql, client } = ground;
  const due = quick ? 2_000 : 100_000;
  const real = quick ? 900 : 8_000;
  const observeMs = quick ? 4_000 : 40_000;
  const direct = openDirectVendor(ground.vendorUrl, ground.vendorKey);
  await ground.freshVendor(0);
  say(`making ${real} keys at the vendor`);
  const persons = await stockKeys(ground, direct, {
    count: Math.ceil(observeMs / betweenRevocationsMs),
    tag: "person",
  });
  await ground.stopWorker(); // they become due while nobody works, as after an outage
  const first = await stockKeys(ground, direct, { count: real, tag: "due", isDue: true });
  await sql.query(
    `insert into keys (id, developer_id, vendor, status, project_name, budget_micros, rate_limit_rpm, expires_at, hint,
        lineage_id, created_by, activated_at, claimed_at)
      select id, $1, 'openai', 'active', 'keygate-later-' || id, 50000000, 60, now() - make_interval(secs => 600), 'sk-svc...none',
        id, 'bench', now(), now() from (select 'key-' || uuidv7() as id from generate_series(1, $2::int)) as made`,
    [first.developerId, due - real],
  );
  say(`${due} keys are due; the worker starts`);
  await ground.startWorker();
  const begun = performance.now();
  const waits: number[] = [];
  for (const keyId of persons.keyIds) {
    const asked = performance.now();
    if (asked - begun > observeMs) break;
    await client.must([200], "POST", `/keys/${keyId}/revoke`, {});
    waits.push(performance.now() - asked);
    await new Promise((done) => setTimeout(done, Math.max(0, asked + betweenRevocationsMs - performance.now())));
  }
  const seconds = (performance.now() - begun) / 1000;
  const { rows } = await sql.query(
    `select count(*) filter (where status = 'expired')::int as expired, count(*) filter (where status = 'revoking')::int as under_way
      from keys where developer_id = $1`,
    [first.developerId],
  );
  const { expired, under_way: underWay } = rows[0];
  if (expired + underWay > real)
    throw new Error("More keys came due than exist at the vendor: observe for a shorter time.");
  // The rest is not waited for.
  await sql.query("update keys set status = 'failed' where developer_id = $1 and status = 'active'", [
    first.developerId,
  ]);
  await ground.settle();
  await direct.close();
  const longest = Math.max(...waits);
  return {
    title: "Many expiries at once",
    method: [
      `${due.toLocaleString("en-US")} keys are due when the worker starts, as after an outage. They are observed for ${shown(seconds)} s, while a person revokes another key every second and waits for the ` +
        `vendor's confirmation. The ${real.toLocaleString("en-US")} that are due first exist at the vendor; the others are not reached in that time.`,
    ],
    columns: ["Due", "Expired/s", "Asked for, not yet confirmed", "A person's revocations", "Median ms", "Longest ms"],
    rows: [
      [
        String(due),
        shown(expired / seconds),
        String(underWay),
        String(waits.length),
        shown(median(waits)),
        shown(longest),
      ],
    ],
    targets: [
      {
        what: "A person's revocation while very many keys expire, the longest",
        wanted: "< 2 s",
        measured: `${shown(longest / 1000)} s`,
        met: longest < 2_000,
      },
    ],
  };
};
