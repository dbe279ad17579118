import type { JobWaiting } from "@keygate/shared/db/schema";
import { microsToDollars } from "@keygate/shared/money";
import type { AnthropicState, Ctx } from "./state.ts";

// Not part of any API; where a person ends up in the Console is a convenience.
const consoleUrl = "https://platform.claude.com/settings/workspaces";
const dayMs = 86_400_000;

/** Where a person sees and sets the workspace's spend limit. */
export const spendLimitLink = (workspaceId: string): string => `${consoleUrl}/${workspaceId}/limits`;

/** A name that no other key has: Anthropic's Claude Code report tells keys apart by their name only. */
export const keyNameFor = (key: { projectName: string; id: string }): string =>
  `${key.projectName}-${key.id.slice(-8)}`;

const minuteOf = (at: Date) => `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;

function expiryLine(expiresAt: Date | null, now: Date): string {
  if (!expiresAt) return "Expiry: never.";
  const dayBefore = new Date(expiresAt.getTime() - dayMs);
  const byDay =
    dayBefore.getTime() > now.getTime() + dayMs
      ? `; where the Console wants a day only, choose ${dayBefore.toISOString().slice(0, 10)}`
      : "";
  return `Expiry: custom, not later than ${minuteOf(expiresAt)}${byDay}. Earlier is fine, later is refused, and it cannot be changed afterwards. The presets count from the moment you make the key.`;
}

function makeKeyLines(ctx: Ctx, state: AnthropicState, workspaceId: string): string[] {
  const { key, now, client } = ctx;
  // The limit of a workspace that others use, too, is not this key's to set.
  const budget =
    state.spendLimitMicros === undefined && state.sharesContainer !== true
      ? [
          `First set the workspace's monthly spend limit to ${microsToDollars(key.budgetMicros).toFixed(2)} US dollars at ${spendLimitLink(workspaceId)}: Anthropic does not let KeyGate set or read it for your organization.`,
        ]
      : [];
  const lines = [
    ...budget,
    `Open the workspace ${state.sharesContainer === true ? "of the key that is replaced" : key.projectName} (${workspaceId}) and create an API key in it, and in no other one.`,
    `Key name: ${keyNameFor(key)}`,
    "Kind: a service account's key for this workspace only (recommended), or a workspace key. Not your own personal key, and none for all workspaces.",
    expiryLine(key.expiresAt, now()),
    "Give the key's text to this job. KeyGate tries it with one free call, and hands it over once.",
  ];
  if (client.connection.simulated) lines.push(`Simulated vendor: ${simulatedConsole(ctx, workspaceId)}`);
  return lines;
}

/** Where there is no Console, its place is taken by a call that a newcomer can copy. */
function simulatedConsole({ client, key }: Ctx, workspaceId: string): string {
  const body = {
    workspace_id: workspaceId,
    name: keyNameFor(key),
    expires_at: key.expiresAt?.toISOString() ?? null,
  };
  const url = new URL("/_control/vendor/create_key", client.connection.baseUrl);
  return `instead of the Console, run: curl -s -X POST ${url} -H 'content-type: application/json' -d '${JSON.stringify(body)}' and take the member "secret" of the answer.`;
}

/** What a person has to do, complete enough to do it without knowing KeyGate. */
export function waitingFor(ctx: Ctx, state: AnthropicState, workspaceId: string): JobWaiting {
  const { simulated } = ctx.client.connection;
  return {
    reason: "Anthropic has no call that makes a key: a person makes it in the Console and gives it to this job.",
    instructions: makeKeyLines(ctx, state, workspaceId)
      .map((line, index) => `${index + 1}. ${line}`)
      .join("\n"),
    link: simulated ? null : `${consoleUrl}/${workspaceId}/keys`,
  };
}
