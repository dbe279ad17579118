import { z } from "zod";
import type { World } from "./world.ts";

const Row = z.object({
  id: z.string(),
  status: z.string(),
  was_active: z.boolean(),
  requested: z.coerce.number(),
  made: z.coerce.number(),
  failed: z.coerce.number(),
  end_requested: z.coerce.number(),
  ended: z.coerce.number(),
  claims: z.coerce.number(),
  claimed_jobs: z.coerce.number(),
  claimed_early: z.boolean(),
});

const endings: Readonly<Record<string, string>> = {
  revoked: "key.revoke",
  expired: "key.expire",
  rotated: "key.rotate",
};

const sql = `
  select keys.id, keys.status, keys.activated_at is not null as was_active,
    count(*) filter (where action in ('key.provision', 'key.rotate') and outcome = 'requested') as requested,
    count(*) filter (where action in ('key.provision', 'key.rotate') and outcome = 'succeeded' and key_hint is not null) as made,
    count(*) filter (where action in ('key.provision', 'key.rotate') and outcome = 'failed') as failed,
    count(*) filter (where outcome = 'requested' and reason is not null) as end_requested,
    count(*) filter (where outcome = 'succeeded' and confirmed is not null
      and action = case keys.status when 'revoked' then 'key.revoke' when 'expired' then 'key.expire' else 'key.rotate' end) as ended,
    count(*) filter (where action = 'key.claim' and outcome = 'succeeded') as claims,
    (select count(*) from jobs where jobs.key_id = keys.id and jobs.claimed_at is not null) as claimed_jobs,
    coalesce(min(seq) filter (where action = 'key.claim')
      < min(seq) filter (where action in ('key.provision', 'key.rotate') and outcome = 'succeeded' and key_hint is not null), false)
      as claimed_early
  from keys left join lateral (
    select seq, action, details ->> 'outcome' as outcome, details ->> 'reason' as reason,
      details ->> 'key_hint' as key_hint, details ->> 'confirmed' as confirmed
    from audit_events where resource_id = keys.id) as event on true
  group by keys.id`;

/** The audit log tells the whole story of every key, and says itself that it is whole. */
export async function checkAudit(world: World): Promise<void> {
  const { lane, violations, client } = world;
  for (const row of await lane.ask(Row, sql)) {
    const say = (what: string) => violations.add(`audit of ${row.id} (${row.status}): ${what}`);
    if (row.requested === 0) say("nobody asked for it");
    if (row.was_active && row.made === 0) say("it was never made");
    if (row.status === "failed" && row.failed === 0) say("it never failed");
    if (row.status in endings && row.end_requested === 0) say("nobody asked for its end");
    if (row.status in endings && row.ended === 0) say("its end was never confirmed");
    if (row.claims !== row.claimed_jobs) say(`${row.claims} claims written, ${row.claimed_jobs} made`);
    if (row.claimed_early) say("it was taken before it was made");
  }
  const verified = await client.call("GET", "/audit/verify");
  if (verified?.body.ok !== true)
    violations.add(`the audit log is not whole: ${JSON.stringify(verified)?.slice(0, 600)}`);
}
