import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { serverOf, type World } from "./world.ts";

const Waiting = z.object({ id: z.string(), instructions: z.string().nullable() });
const CreatedKey = z.object({ id: z.string(), secret: z.string() });

/** What a person does all day: makes the keys in Anthropic's Console that jobs wait for, and brings them, wrong ones first if so planned. */
export async function playPerson(world: World, bringsWrongKeys: boolean): Promise<void> {
  const { lane, client, books } = world;
  const made = new Map<string, z.infer<typeof CreatedKey>>();
  const misled = new Set<string>();
  const isAlive = (id: string) =>
    books
      .get("anthropic")
      ?.live()
      .some((key) => key.id === id) ?? false;
  while (world.isRunning()) {
    const waiting = await lane.ask(
      Waiting,
      "select id, waiting ->> 'instructions' as instructions from jobs where state = 'waiting_for_input'",
    );
    for (const { id, instructions } of waiting) {
      if (bringsWrongKeys && !misled.has(id)) {
        misled.add(id);
        // Another job's key, if there is one, or a slip of the clipboard: refused, and the job goes on waiting.
        const other = [...made].find(([job]) => job !== id)?.[1].secret ?? "sk-ant-api03-not-a-key";
        await client.call("POST", `/jobs/${id}/input`, { api_key: other }, { waitSeconds: 0 });
        continue;
      }
      // Whoever is asked again for the same job brings the same key again, as long as it is there.
      const earlier = made.get(id);
      const key = earlier && isAlive(earlier.id) ? earlier : await makeKey(world, instructions ?? "");
      if (!key) continue;
      made.set(id, key);
      await client.call("POST", `/jobs/${id}/input`, { api_key: key.secret }, { waitSeconds: 0 });
    }
    await sleep(120);
  }
}

async function makeKey({ lane }: World, instructions: string) {
  const until = /not later than (\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}) UTC/.exec(instructions);
  const answer = await serverOf(lane, "anthropic")
    .control("create_key", {
      workspace_id: /\((wrkspc_\w+)\)/.exec(instructions)?.[1],
      name: /Key name: (\S+)/.exec(instructions)?.[1],
      principal: { type: "service_account_actor", service_account_id: "svac_01SIMULATED" },
      expires_at: until ? `${until[1]}T${until[2]}:00Z` : null,
    })
    // The workspace may have been taken away meanwhile.
    .catch(() => undefined);
  return CreatedKey.safeParse(answer?.body).data ?? null;
}
