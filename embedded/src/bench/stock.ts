import { addDevelopers } from "./client.ts";
import type { DirectVendor, MadeKey } from "./direct.ts";
import { pump } from "./figures.ts";
import type { Ground } from "./ground.ts";

export interface Stocked {
  developerId: string;
  team: string;
  keyIds: string[];
  made: MadeKey[];
}

/**
 * Active keys of one developer in a team of their own, that really exist at the vendor; their rows are written directly.
 * They expire in 60 days, or the first of them first when they are due.
 */
export async function stockKeys(
  ground: Ground,
  vendor: DirectVendor,
  { count, tag, isDue = false }: { count: number; tag: string; isDue?: boolean },
): Promise<Stocked> {
  const [developerId = ""] = await addDevelopers(ground.client, 1, tag);
  const team = `bench-${tag}-${Date.now()}`;
  await ground.sql.query("update developers set team = $1 where id = $2", [team, developerId]);
  const made: MadeKey[] = [];
  await pump(count, 32, async (index) => {
    made[index] = await vendor.makeKey(`${tag}-${index}`);
  });
  const keyIds: string[] = [];
  for (let start = 0; start < made.length; start += 1_000) {
    const refs = JSON.stringify(
      made
        .slice(start, start + 1_000)
        .map(({ projectId, accountId, keyId }) => ({ projectId, serviceAccountId: accountId, keyId })),
    );
    const { rows } = await ground.sql.query<{ id: string }>(
      `insert into keys (id, developer_id, vendor, status, project_name, budget_micros, rate_limit_rpm, expires_at, hint,
          vendor_ref, lineage_id, created_by, activated_at, claimed_at)
        select id, $1, 'openai', 'active', 'keygate-' || $2 || '-' || id, 50000000, 60,
          now() + case when $3 then make_interval(secs => n::float8 / 1000 - 3600) else make_interval(days => 60) end,
          'sk-svc...none', ref, id, 'bench', now(), now()
        from (select 'key-' || uuidv7() as id, value as ref, ordinality + $4 as n
          from jsonb_array_elements($5::jsonb) with ordinality) as given
        returning id`,
      [developerId, tag, isDue, start, refs],
    );
    keyIds.push(...rows.map(({ id }) => id));
  }
  return { developerId, team, keyIds, made };
}
