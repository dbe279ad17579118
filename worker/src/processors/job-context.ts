import { fingerprintCandidates, fingerprintsOf, hintOf } from "@keygate/shared/crypto/fingerprint";
import { sealTo, thumbprintOf } from "@keygate/shared/crypto/sealing";
import { jobInputContext } from "@keygate/shared/db/job-inputs";
import type { JobRow, Lease, LeasedJobRow } from "@keygate/shared/db/jobs";
import { jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyForJob, keyRows, type OwnedKeyRow } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import type { WorkerDeps } from "../deps.ts";
import { requireLease } from "../lease-watch.ts";
import { type Journal, openJournal } from "../saga/journal.ts";
import type { SagaContext, SagaKey } from "../saga/step.ts";
import type { VendorConnection } from "../vendors/connections.ts";

/** A job under work: its row, the lease that it is held by, and everything its saga needs. */
export interface JobContext {
  deps: WorkerDeps;
  job: JobRow & Partial<Pick<LeasedJobRow, "is_first_try">>;
  lease: Lease;
}

/** What a saga works with: vendor, key row, journal and the steps' context. */
export interface SagaWork {
  key: KeyRow;
  connection: VendorConnection;
  journal: Journal;
  saga: SagaContext<unknown>;
  /** Told by the runner, so that a step can ask for its age. */
  enter(step: string): void;
}

// Longer than the claim's own time, so that a key is never gone from the handoff before its claim has ended.
const handoffSlackSeconds = 60;

/** Loads what a job about a key needs. `keepLast`: see the journal's `unwritten`. */
export async function openSagaWork({ deps, job, lease }: JobContext, keepLast = false): Promise<SagaWork> {
  const keyId = must(job.key_id, "the job's key");
  const { seen, ...key } = must(await keyForJob(deps.db)(keyId), "the key's row");
  const connection = await deps.vendors.connect(key.vendor, seen);
  const journal = await openJournal(deps.db, lease, { isNew: job.is_first_try ?? false, keepLast });
  let current: string | null = null;

  const saga: SagaContext<unknown> = {
    client: connection.client,
    key: sagaKeyOf(key, job),
    input: job.sealed_input ? deps.keyring.open(job.sealed_input, jobInputContext(job.id)) : null,
    now: deps.now,
    async deliver(secret) {
      const named = journal.wishes()?.delivery_key ?? (await jobRows(deps.db).receiver(lease));
      const receiver = must(named, "the receiver's public key");
      const jwe = await sealTo(receiver, secret);
      requireLease();
      await deps.handoff.put(job.id, jwe, deps.config.handoff.ttlSeconds + handoffSlackSeconds);
      journal.noteSealedTo(thumbprintOf(receiver));
      return { hint: hintOf(secret), fingerprints: fingerprintsOf(secret, deps.keyring) };
    },
    async isTracked(what) {
      if ("vendorKeyId" in what) {
        const found = await keyRows(deps.db).findByVendorKeyId(key.vendor, what.vendorKeyId);
        return found !== undefined && found.id !== key.id;
      }
      const found = await keyRows(deps.db).findByFingerprint(fingerprintCandidates(what.secret, deps.keyring));
      return found.some((row) => row.id !== key.id);
    },
    async stepAgeMs() {
      const since = current ? journal.startedAt(current) : undefined;
      return since ? Date.now() - since.getTime() : 0;
    },
    unsureMs: async () => journal.markUnsure(must(current, "the running step")),
  };
  return {
    key,
    connection,
    journal,
    saga,
    enter(step) {
      current = step;
    },
  };
}

function sagaKeyOf(key: OwnedKeyRow, job: JobRow): SagaKey {
  return {
    id: key.id,
    jobId: job.id,
    developerId: key.developer_id,
    developerEmail: key.developer_email,
    projectName: key.project_name,
    budgetMicros: key.budget_micros,
    rateLimitRpm: key.rate_limit_rpm,
    modelsAllowed: key.models_allowed,
    expiresAt: key.expires_at,
    createdAt: key.created_at,
    jobCreatedAt: job.created_at,
  };
}
