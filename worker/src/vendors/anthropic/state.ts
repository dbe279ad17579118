import { KeyGateError } from "@keygate/shared/errors";
import type { SagaContext, SagaState } from "../../saga/step.ts";
import type { VendorStep } from "../vendor.ts";
import type { AnthropicClient } from "./client.ts";

export interface AnthropicState extends SagaState {
  /** Whose workspace it is: "not found" means nothing when another organization is asked. */
  organizationId?: string;
  workspaceId?: string;
  /** The workspace is somebody else's, and others use it: the key was adopted, not made for KeyGate. */
  sharesContainer?: boolean;
  /** What the vendor confirmed, for the limits report. */
  rateLimits?: { entryId?: string; group: string; requestsPerMinute: number }[];
  unlimitedGroups?: string[];
  /** Absent where a person has to set the limit. */
  spendLimitId?: string;
  spendLimitMicros?: number;
  /** Only where the organization is billed in something else than US dollars: the limit is a number of that. */
  spendLimitCurrency?: string;
  keyId?: string;
  keyKind?: KeyKind;
  keyExpiresAt?: string | null;
  /** The key that a rotation replaces, which the rotation itself must never touch. */
  oldKeyId?: string;
}

/** `workspace`: belongs to nobody and survives whoever made it. */
export type KeyKind = "service_account" | "workspace" | "personal";

export type Ctx = SagaContext<AnthropicClient>;
export type AnthropicStep = VendorStep<AnthropicClient, AnthropicState>;

/** Anthropic's clock, the database's and ours may differ by this much. */
export const clockSkewMs = 300_000;

/**
 * To be asked before "not found" is believed: an Admin key of another organization sees nothing of ours, and everything
 * would pass for revoked.
 *
 * @throws `vendor.refused_us`, so that the job waits for the right Admin key.
 */
export async function requireSameOrganization(client: AnthropicClient, state: AnthropicState): Promise<void> {
  if (!state.organizationId) return;
  const { id } = await client.me();
  if (id === state.organizationId) return;
  throw new KeyGateError("vendor.refused_us", {
    detail: `The Admin key belongs to the organization ${id}, but this key was made in ${state.organizationId}. Configure an Admin key of that organization.`,
    nothingHappened: true,
  });
}

/** Whether the vendor refused for good, which for a change of state can mean that it is as wanted already. */
export const isRefusal = (error: unknown): error is KeyGateError =>
  error instanceof KeyGateError && error.code === "vendor.refused";
