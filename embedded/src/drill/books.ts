import { z } from "zod";
import type { ApiClient } from "../demo/api-client.ts";
import type { Instructions } from "../demo/use-key.ts";

/** A key as its developer got it; held in memory, to be tried on the vendor. */
export interface IssuedKey {
  vendor: string;
  id: string;
  projectName: string;
  secret: string;
  instructions: Instructions;
}

const Issued = z.object({
  key_id: z.string(),
  api_key: z.string(),
  project_name: z.string(),
  instructions: z.record(z.string(), z.unknown()),
});
const Id = z.object({ id: z.string() });

let people = 0;

/** Asks for a key as any script would, and waits for it. */
export async function issueKey(api: ApiClient, vendor: string): Promise<IssuedKey> {
  people += 1;
  const developer = await api.call("POST", "/api/v1/developers", {
    name: "Ada Lovelace",
    email: `ada+${people}-${Date.now()}@example.com`,
    team: "engines",
  });
  const answer = await api.call(
    "POST",
    "/api/v1/keys/provision",
    { developer_id: Id.parse(developer.body).id, vendor },
    { prefer: "wait=60" },
  );
  if (answer.status !== 200)
    throw new Error(`No key at ${vendor}: ${JSON.stringify(answer.body.detail ?? answer.status)}`);
  const issued = Issued.parse(answer.body);
  return {
    vendor,
    id: issued.key_id,
    projectName: issued.project_name,
    secret: issued.api_key,
    instructions: issued.instructions,
  };
}

export const Findings = z.object({
  runs: z.array(z.object({ vendor: z.string(), state: z.string(), ended_at: z.string().nullable() })),
  findings: z.array(
    z.object({
      id: z.string(),
      vendor: z.string(),
      kind: z.string(),
      key_id: z.string().nullable(),
      can_remove: z.boolean(),
      resource: z.object({ type: z.string(), id: z.string(), name: z.string() }),
      details: z.record(z.string(), z.unknown()),
    }),
  ),
});
export type Finding = z.infer<typeof Findings>["findings"][number];
