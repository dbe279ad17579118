import { z } from "zod";
import { PublicJwk, pageQuery, Timestamp } from "./common.ts";
import { DeveloperId, FindingId, JobId, KeyId } from "./ids.ts";
import { VendorId } from "./vendors/registry.ts";

export const jobStates = [
  "queued",
  "running",
  "waiting_for_input",
  "waiting_for_vendor",
  "compensating",
  "needs_attention",
  "succeeded",
  "failed",
  "cancelled",
] as const;
export const JobState = z.enum(jobStates);
export type JobState = z.infer<typeof JobState>;

const finalStates: readonly JobState[] = ["succeeded", "failed", "cancelled"];

/** Whether nothing more will happen to the job by itself. */
export const isFinal = (state: JobState): boolean => finalStates.includes(state);

interface JobSpec {
  input: z.ZodType;
  /** BullMQ priority: smaller goes first. panic > a person's revoke > deliver > rotate > expire > reconcile. */
  priority: number;
  /** Tries before a retryable failure counts as permanent. */
  attemptsMax: number;
}

/** How a key ends when its revocation is confirmed. */
export const KeyEnding = z.enum(["revoked", "rotated", "expired"]);
export type KeyEnding = z.infer<typeof KeyEnding>;

/** Every kind of job: what its row holds, how urgent it is, how stubborn. One table for API and worker. */
export const jobs = {
  provision: { input: z.strictObject({ keyId: KeyId }), priority: 3, attemptsMax: 12 },
  rotate: {
    input: z.strictObject({ keyId: KeyId, oldKeyId: KeyId, gracePeriodMinutes: z.int() }),
    priority: 4,
    attemptsMax: 12,
  },
  // A revocation is never given up: fast tries first, then slow ones without end.
  revoke: {
    input: z.strictObject({ keyId: KeyId, ending: KeyEnding }),
    priority: 2,
    attemptsMax: Number.MAX_SAFE_INTEGER,
  },
  // What several keys shared at the vendor and nobody needs any more.
  dismantle: { input: z.strictObject({ keyId: KeyId }), priority: 5, attemptsMax: Number.MAX_SAFE_INTEGER },
  // Holds the progress of many revocations; its children do the work.
  batch_revoke: { input: z.strictObject({ keysTotal: z.int() }), priority: 1, attemptsMax: 1 },
  // Tries a vendor's credentials; somebody waits for the answer and nothing is changed.
  check: { input: z.strictObject({}), priority: 2, attemptsMax: 1 },
  // Holds what stands at a vendor against what KeyGate knows. It goes on from its run's cursor, whichever job that began.
  reconcile: { input: z.strictObject({ vendor: VendorId }), priority: 6, attemptsMax: 50 },
  // Takes away what reconcile found and nobody accounts for.
  remove_orphan: { input: z.strictObject({ findingId: FindingId }), priority: 5, attemptsMax: Number.MAX_SAFE_INTEGER },
} as const satisfies Record<string, JobSpec>;

export type JobKind = keyof typeof jobs;
export type JobInput<K extends JobKind> = z.infer<(typeof jobs)[K]["input"]>;
export const JobKind = z.enum(Object.keys(jobs) as [JobKind, ...JobKind[]]);

/** Priorities that do not follow from the kind alone. */
export const priorities = { panic: 1, expire: 5 } as const;

/** All that the queue ever carries. */
export const QueuedJob = z.strictObject({ v: z.literal(1), jobId: JobId });
export type QueuedJob = z.infer<typeof QueuedJob>;

export const JobStepView = z.object({
  name: z.string(),
  status: z.enum(["planned", "started", "done", "undone"]),
  started_at: Timestamp.nullable(),
  finished_at: Timestamp.nullable(),
});

export const JobView = z
  .object({
    id: JobId,
    job_id: JobId,
    kind: JobKind,
    status: JobState,
    vendor: VendorId.nullable(),
    key_id: KeyId.nullable(),
    parent_id: JobId.nullable(),
    step: z.object({ name: z.string().nullable(), number: z.int(), of: z.int() }),
    attempts: z.int(),
    error: z
      .object({ code: z.string(), title: z.string(), detail: z.string() })
      .nullable()
      .meta({ description: "Why it failed, or what it is waiting out" }),
    waiting: z
      .object({ reason: z.string(), instructions: z.string().nullable(), link: z.string().nullable() })
      .nullable(),
    claim: z
      .object({ available: z.boolean(), until: Timestamp.nullable(), claimed_at: Timestamp.nullable() })
      .nullable(),
    progress: z.object({ total: z.int(), succeeded: z.int(), failed: z.int() }).nullable(),
    requested_by: z.string(),
    next_try_at: Timestamp.nullable(),
    created_at: Timestamp,
    started_at: Timestamp.nullable(),
    finished_at: Timestamp.nullable(),
  })
  .meta({ id: "Job" });
export type JobView = z.infer<typeof JobView>;

export const JobDetail = JobView.extend({ steps: z.array(JobStepView) }).meta({ id: "JobDetail" });
export type JobDetail = z.infer<typeof JobDetail>;

export const JobListQuery = z.strictObject({
  status: JobState.optional(),
  vendor: VendorId.optional(),
  kind: JobKind.optional(),
  key_id: KeyId.optional(),
  developer_id: DeveloperId.optional().meta({ description: "About any key of this developer" }),
  parent_id: JobId.optional(),
  ...pageQuery,
});
export type JobListQuery = z.infer<typeof JobListQuery>;

export const ClaimRequest = z
  .strictObject({
    claim_token: z
      .string()
      .regex(/^[A-Za-z0-9_-]{43}$/, { message: "Must be the claim token that came with the job" })
      .optional(),
    proof: z.string().min(1).max(300).optional().meta({
      description:
        "Instead of the token: the opened challenge of POST /claims/{job_id}/challenge. The key comes sealed.",
    }),
  })
  .refine((body) => body.claim_token === undefined || body.proof === undefined, {
    message: "Either claim_token or proof",
  })
  .meta({ id: "ClaimRequest" });

/** Names a new receiver of a key that nobody took yet; only who asked for the key may. */
export const ReceiverRequest = z.strictObject({ public_key: PublicJwk }).meta({ id: "ReceiverRequest" });

export const JobInputRequest = z
  .strictObject({ api_key: z.string().trim().min(8).max(20_000) })
  .meta({ id: "JobInputRequest" });
