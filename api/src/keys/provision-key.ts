import type { ProvisionRequest } from "@keygate/shared/contracts/keys";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { developerNames } from "@keygate/shared/db/developers";
import { idempotencyRows } from "@keygate/shared/db/idempotency";
import { type JobRow, jobRows, type NewJob } from "@keygate/shared/db/jobs";
import { keyMoments } from "@keygate/shared/db/key-moments";
import { type KeyRow, keyRows, type NewKey } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { dollarsToMicros } from "@keygate/shared/money";
import { projectNameFor } from "@keygate/shared/naming";
import { currentTraceParent } from "@keygate/shared/tracing";
import type { ApiDeps } from "../deps.ts";
import type { Idempotency } from "../env.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import type { Receiver } from "../jobs/receiver.ts";
import {
  checkExpiry,
  contractOf,
  requireActiveDeveloper,
  requireRoomInWorkspace,
  requireVendor,
} from "./provision-policy.ts";

export interface Asking {
  actor: Actor;
  receiver: Receiver;
  idempotency: Idempotency | null;
}

// Six characters of 27: a second name that is taken too is next to impossible, a fifth one is a fault.
const namesMax = 5;

/**
 * Asks for a key: all checks, the reserved name, key row, job row and audit row in one transaction, before the vendor
 * hears of anything.
 *
 * @throws developer.*, vendor.not_configured, workspace.*, request.invalid, request.throttled.
 */
export async function provisionKey(deps: ApiDeps, request: ProvisionRequest, asking: Asking): Promise<JobRow> {
  checkExpiry(request.vendor, request.expires_in_days);
  await deps.backlog.requireRoom(request.vendor);
  const job = (await askAtOnce(deps, request, asking)) ?? (await askInTransaction(deps, request, asking));
  deps.log.info({ jobId: job.id, keyId: job.key_id, vendor: job.vendor }, "key.provision_requested");
  await enqueueJobs(deps, [job]);
  return job;
}

/**
 * The common case in one statement. Undefined when there is more to check or to link, or anything is in the way: the
 * transaction finds out what.
 */
async function askAtOnce(deps: ApiDeps, request: ProvisionRequest, asking: Asking): Promise<JobRow | undefined> {
  const { actor, receiver, idempotency } = asking;
  if (request.workspace_id || idempotency) return undefined;
  const developer = await developerNames(deps.db)(request.developer_id);
  if (!developer) return undefined;
  const id = newId("key");
  return keyMoments.ask(deps.db)({
    key: {
      id,
      developerId: request.developer_id,
      vendor: request.vendor,
      projectName: projectNameFor(contractOf(request.vendor).naming, developer, id, 0),
      description: request.description,
      budgetMicros: dollarsToMicros(request.budget_limit_usd),
      rateLimitRpm: request.rate_limit_rpm,
      modelsAllowed: request.models_allowed ?? null,
      expiresInDays: request.expires_in_days,
      lineageId: id,
      createdBy: actor.name,
    },
    actor,
    delivery: { key: receiver.key, isCallers: receiver.privateHalf === null },
    traceparent: currentTraceParent(),
  });
}

function askInTransaction(deps: ApiDeps, request: ProvisionRequest, asking: Asking): Promise<JobRow> {
  return deps.db.transaction().execute(async (tx) => {
    const key = await insertKey(tx, request, asking.actor);
    return insertMaker(tx, key, asking, { kind: "provision", input: { keyId: key.id } });
  });
}

async function insertKey(tx: Tx, request: ProvisionRequest, actor: Actor): Promise<KeyRow> {
  const developer = await requireActiveDeveloper(tx, request.developer_id);
  const vendor = await requireVendor(tx, request.vendor);
  const workspaceId = request.workspace_id ?? null;
  const limits = { budgetMicros: dollarsToMicros(request.budget_limit_usd), rateLimitRpm: request.rate_limit_rpm };
  if (workspaceId) await requireRoomInWorkspace(tx, workspaceId, { developerId: developer.id, ...limits });

  const id = newId("key");
  const values: Omit<NewKey, "projectName"> = {
    id,
    developerId: developer.id,
    vendor: request.vendor,
    workspaceId,
    description: request.description,
    ...limits,
    modelsAllowed: request.models_allowed ?? null,
    expires: { inDays: request.expires_in_days },
    lineageId: id,
    replacesId: null,
    graceMinutes: null,
    simulated: vendor.source === "simulator",
    createdBy: actor.name,
  };
  for (let attempt = 0; attempt < namesMax; attempt++) {
    const projectName = projectNameFor(contractOf(request.vendor).naming, developer, id, attempt);
    const key = await keyRows(tx).insert({ ...values, projectName });
    if (key) return key;
  }
  throw new Error(`${namesMax} project names of ${id} were taken`);
}

/** The job that makes a key, with its audit row and the caller's Idempotency-Key, in the key's own transaction. */
export async function insertMaker(
  tx: Tx,
  key: KeyRow,
  { actor, receiver, idempotency }: Asking,
  what: Pick<NewJob<"provision" | "rotate">, "kind" | "input">,
): Promise<JobRow> {
  const delivery = { key: receiver.key, isCallers: receiver.privateHalf === null };
  const [inserted] = await jobRows(tx).insert([{ ...what, vendor: key.vendor, keyId: key.id, actor, delivery }]);
  const job = must(inserted, "the inserted job");
  await writeAudit(tx, {
    action: `key.${what.kind}`,
    actor,
    resourceType: "key",
    resourceId: key.id,
    details: {
      outcome: "requested",
      job_id: job.id,
      vendor: key.vendor,
      developer_id: key.developer_id,
      workspace_id: key.workspace_id,
      project_name: key.project_name,
      budget_micros: key.budget_micros,
      rate_limit_rpm: key.rate_limit_rpm,
      models_allowed: key.models_allowed,
      expires_at: key.expires_at,
      ...(key.replaces_id ? { replaces: key.replaces_id, grace_period_minutes: key.grace_minutes } : {}),
    },
  });
  if (idempotency) await idempotencyRows(tx).linkJob(idempotency.actor, idempotency.key, job.id);
  return job;
}
