import { sql } from "kysely";
import type { PublicJwk } from "../contracts/common.ts";
import { jobs as jobSpecs } from "../contracts/jobs.ts";
import { newId } from "../ids.ts";
import { currentTraceParent } from "../tracing.ts";
import type { Actor } from "./audit.ts";
import { type Db, json } from "./client.ts";
import { type JobRow, jobColumns, type Lease, workableStates } from "./jobs.ts";
import { type IssuedKey, type KeyRow, keyColumns, type NewKey } from "./keys.ts";
import { prepared } from "./prepared.ts";

/**
 * The three moments of a key's life in which somebody waits, each as one statement: one round trip and one commit for
 * what would be six or seven. Each does all of it, audit row included, or nothing at all: then the caller goes the long
 * way, in a transaction that finds out what was in the way. Rows are locked in the order in which everybody locks them,
 * since a part that changes the second row reads what the part that locked the first one returned.
 */
export function keyMoments(db: Db) {
  const columnsOf = (table: string, names: readonly string[]) =>
    sql.join(names.map((name) => sql.ref(`${table}.${name.replace(/^keys\./, "")}`)));

  return {
    /**
     * A key is asked for: its row, its job and the audit row. Undefined when the developer is not active, the vendor not
     * configured or the name taken.
     */
    async ask(ask: {
      key: Omit<NewKey, "expires" | "simulated" | "workspaceId" | "replacesId" | "graceMinutes"> & {
        expiresInDays: number;
      };
      actor: Actor;
      delivery: { key: PublicJwk; isCallers: boolean };
    }): Promise<JobRow | undefined> {
      const { key, actor, delivery } = ask;
      const jobId = newId("job");
      const details = {
        outcome: "requested",
        job_id: jobId,
        vendor: key.vendor,
        developer_id: key.developerId,
        workspace_id: null,
        project_name: key.projectName,
        budget_micros: key.budgetMicros,
        rate_limit_rpm: key.rateLimitRpm,
        models_allowed: key.modelsAllowed,
      };
      const models = key.modelsAllowed ? [...key.modelsAllowed] : null;
      const { rows } = await sql<JobRow>`${prepared}
        with developer as (
          select id from developers where id = ${key.developerId} and is_active for share),
        vendor as (
          select source from vendor_configs where vendor = ${key.vendor} for share),
        made as (
          insert into keys (id, developer_id, vendor, status, project_name, description, budget_micros, rate_limit_rpm,
            models_allowed, expires_at, lineage_id, simulated, created_by)
          select ${key.id}::text, developer.id, ${key.vendor}::text, 'pending', ${key.projectName}::text,
            ${key.description}::text, ${key.budgetMicros}::bigint, ${key.rateLimitRpm}::integer, ${models}::text[],
            now() + make_interval(days => ${key.expiresInDays}::integer), ${key.lineageId}::text,
            vendor.source = 'simulator', ${key.createdBy}::text
          from developer, vendor
          on conflict do nothing
          returning id, vendor, expires_at),
        job as (
          insert into jobs (id, kind, vendor, key_id, state, input, priority, enqueued_at, requested_by, requested_by_id,
            ip_address, delivery_key, delivery_is_callers, traceparent)
          select ${jobId}::text, 'provision', made.vendor, made.id, 'queued',
            ${json(jobSpecs.provision.input.parse({ keyId: key.id }))}, ${jobSpecs.provision.priority}::integer, now(),
            ${actor.name}::text, ${actor.id}::text, ${actor.ipAddress}::text, ${json(delivery.key)},
            ${delivery.isCallers}::boolean, ${currentTraceParent()}::text
          from made
          returning ${columnsOf("jobs", jobColumns)}),
        told as (
          insert into audit_events (id, action, actor, resource_type, resource_id, details, ip_address)
          select ${newId("evt")}::text, 'key.provision', ${actor.name}::text, 'key', made.id,
            ${json(details)} || jsonb_build_object('expires_at',
              to_char(made.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
            ${actor.ipAddress}::text
          from made)
        select * from job`.execute(db);
      return rows[0];
    },

    /**
     * A provisioned key is in force: its last step is done, the key active, the job succeeded. False when the lease was
     * lost, the job is to be stopped, the receiver changed, or the key came to its end.
     */
    async issue(issue: {
      lease: Lease;
      keyId: KeyRow["id"];
      issued: IssuedKey;
      /** Whom the key was sealed for. */
      receiver: PublicJwk;
      sealedTo: string;
      claimTtlSeconds: number;
      lastStep: { name: string; made: Record<string, unknown> };
      audit: { actor: Actor; details: Record<string, unknown> };
    }): Promise<boolean> {
      const { lease, keyId, issued, audit, lastStep } = issue;
      const { rows } = await sql`${prepared}
        with held as (
          select id from keys where id = ${keyId} and status in ('pending', 'active') for update),
        job as (
          update jobs set state = 'succeeded', error = null, waiting = null, sealed_input = null, lease_token = null,
            lease_until = null, finished_at = now(), claim_until = now() + make_interval(secs => ${issue.claimTtlSeconds})
          from held
          where jobs.id = ${lease.jobId} and lease_token = ${lease.token} and not cancel_requested
            and sealed_to = ${issue.sealedTo} and delivery_key ->> 'x' = ${issue.receiver.x}
            and state in (${sql.join(workableStates)})
          returning jobs.id),
        step as (
          update saga_steps set status = 'done', made = ${json(lastStep.made)}, finished_at = now(), unsure_since = null
          from job where job_id = job.id and name = ${lastStep.name} returning name),
        active as (
          update keys set status = 'active', hint = ${issued.hint}, fingerprints = ${[...issued.fingerprints]},
            vendor_ref = ${json(issued.vendorRef)}, limits = ${json(issued.limits)},
            instructions = ${issued.instructions && json(issued.instructions)}, activated_at = now()
          from job where keys.id = ${keyId} returning keys.id),
        told as (
          insert into audit_events (id, action, actor, resource_type, resource_id, details, ip_address)
          select ${newId("evt")}::text, 'key.provision', ${audit.actor.name}::text, 'key', active.id,
            ${json(audit.details)}, ${audit.actor.ipAddress}::text
          from active)
        select active.id from active`.execute(db);
      return rows.length === 1;
    },

    /** A provisioned key is taken out of the handoff. Undefined when it was taken before, its time is over or it ended. */
    async take(
      job: Pick<JobRow, "id" | "key_id">,
      actor: Actor,
    ): Promise<{ key: KeyRow; claimedAt: Date } | undefined> {
      const { rows } = await sql<KeyRow & { claimed_at: Date }>`${prepared}
        with held as (
          select id from keys where id = ${job.key_id} and status = 'active' for update),
        claimed as (
          update jobs set claimed_at = now() from held
          where jobs.id = ${job.id} and state = 'succeeded' and claimed_at is null and claim_until > now()
          returning jobs.id),
        taken as (
          update keys set claimed_at = now() from claimed where keys.id = ${job.key_id}
          returning ${columnsOf("keys", keyColumns)}),
        told as (
          insert into audit_events (id, action, actor, resource_type, resource_id, details, ip_address)
          select ${newId("evt")}::text, 'key.claim', ${actor.name}::text, 'key', taken.id,
            ${json({ outcome: "succeeded", job_id: job.id })} ||
              jsonb_build_object('vendor', taken.vendor, 'developer_id', taken.developer_id),
            ${actor.ipAddress}::text
          from taken)
        select * from taken`.execute(db);
      const [key] = rows;
      return key && { key, claimedAt: key.claimed_at };
    },
  };
}
