import { createHash } from "node:crypto";
import type { Secret } from "@keygate/shared/secret";
import type { SagaContext, SagaState } from "../../saga/step.ts";
import type { VendorStep } from "../vendor.ts";
import type { AccountPlace, AzureClient, KeySlot } from "./client.ts";

/** The account of a key: found again by this alone, also when the configuration has changed since. */
export interface OwnAccount extends AccountPlace {
  location: string;
  /** The key that the account was made for; its `keygate-key` tag. Keys that replace it live in the same account. */
  ownerKeyId: string;
}

/** One deployed model, and the arithmetic that led to its limits. */
export interface DeployedModel {
  /** What developers put where OpenAI's clients put the model. */
  deployment: string;
  model: string;
  version: string;
  sku: string;
  units: number;
  /** Requests that one unit brings per minute; null where Azure has no request limit. */
  rpmPerUnit: number | null;
  /** What is in force, as Azure tells it. */
  requestsPerMinute: number | null;
  tokensPerMinute: number | null;
  retiresOn: string | null;
}

export interface AzureState extends SagaState {
  account?: OwnAccount;
  /** The models to deploy, settled before anything is made. */
  models?: string[];
  /** When the account was asked for, or found to be ours; until then what bears its name may be somebody else's. */
  madeAt?: string;
  /** Tells why the creation failed. Opens nothing without our token; dropped when the account is there. */
  operationUrl?: string | null;
  /** How long Azure wants to be left alone between two looks at the creation, if it said so. */
  paceMs?: number | null;
  endpoint?: string;
  publicNetworkAccess?: string | null;
  deployments?: DeployedModel[];
  /** The slot that this key lives in. */
  slot?: KeySlot;
  /** Tells whether a slot still holds this key. */
  mark?: string;
  /** The same of the key that this one replaced, which lives in the other slot until its grace is over. */
  previousMark?: string | null;
  /** Where a rotation puts its key. */
  freeSlot?: KeySlot;
  /** False where the keys could not be replaced before the account was deleted. */
  keysReplaced?: boolean;
  /** Why a deleted account was not purged, and until when Azure keeps it. */
  notPurged?: { until: string | null; why: string };
}

export type Ctx = SagaContext<AzureClient>;
export type AzureStep = VendorStep<AzureClient, AzureState>;

export const otherSlot = (slot: KeySlot): KeySlot => (slot === "Key1" ? "Key2" : "Key1");

/**
 * Twelve hex digits that tell one key from another. They follow from 128 random bits or more, so they tell nothing else
 * about the key; and unlike a fingerprint they do not depend on which encryption keys are configured.
 */
export const markOf = (secret: Secret): string =>
  createHash("sha256").update(`keygate/azure-slot/${secret.reveal()}`).digest("hex").slice(0, 12);

/** Whether Azure's word for a state is one of these, in whatever case it came. */
export const isState = (state: string | null | undefined, ...wanted: readonly string[]): boolean =>
  wanted.some((each) => each.toLowerCase() === state?.toLowerCase());
