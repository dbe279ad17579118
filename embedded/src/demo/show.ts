import type { Simulator } from "@keygate/simulator/start";
import { z } from "zod";
import type { ApiClient } from "./api-client.ts";
import { type Line, liveThrough } from "./life-of-a-key.ts";
import { useKeyOf } from "./use-key.ts";

const Id = z.object({ id: z.string() });
const CreatedKey = z.object({ secret: z.string() });

/** What a person does in Anthropic's Console: makes the key that the instructions ask for. */
async function makeAnthropicKey(simulator: Simulator, instructions: string): Promise<string> {
  const workspaceId = /\((wrkspc_\w+)\)/.exec(instructions)?.[1];
  const name = /Key name: (\S+)/.exec(instructions)?.[1];
  const until = /not later than (\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}) UTC/.exec(instructions);
  const made = await simulator.vendors.anthropic.control("create_key", {
    workspace_id: workspaceId,
    name,
    principal: { type: "service_account_actor", service_account_id: "svac_01SIMULATED" },
    expires_at: until ? `${until[1]}T${until[2]}:00Z` : null,
  });
  return CreatedKey.parse(made?.body).secret;
}

/** Takes a key of a new developer through its whole life at one vendor; whatever stops it is a line too. */
export async function showLife(
  simulator: Simulator,
  api: ApiClient,
  vendor: string,
  report: (line: Line) => void,
): Promise<void> {
  const use = useKeyOf[vendor];
  if (!use) return;
  const developer = await api.call("POST", "/api/v1/developers", {
    name: "Ada Lovelace",
    email: `ada+${vendor}@example.com`,
    team: "engines",
  });
  const developerId = Id.parse(developer.body).id;
  const makeByHand = (instructions: string) => makeAnthropicKey(simulator, instructions);
  try {
    await liveThrough({ api, vendor, developerId, use, makeByHand, report });
  } catch (error) {
    report({ what: "stopped", seen: error instanceof Error ? error.message : String(error), ok: false });
  }
}

/** What the audit log says of itself. */
export async function showAudit(api: ApiClient, report: (line: Line) => void): Promise<void> {
  const events = await api.call("GET", "/api/v1/audit?limit=500");
  const count = Array.isArray(events.body) ? events.body.length : 0;
  report({ what: "audit rows written", seen: String(count), ok: count > 0 });
  const verified = await api.call("GET", "/api/v1/audit/verify");
  report({
    what: "audit log verified",
    seen: verified.body.ok === true ? "whole" : "not whole",
    ok: verified.body.ok === true,
  });
}
