import { sql } from "kysely";
import type { PublicJwk } from "../contracts/common.ts";
import { jobs as jobSpecs } from "../contracts/jobs.ts";
import { newId } from "../ids.ts";
import type { Actor } from "./audit.ts";
import { fewRows, json } from "./client.ts";
import { type JobRow, jobColumns, type Lease, workableStates } from "./jobs.ts";
import { type IssuedKey, type KeyRow, keyColumns, type NewKey } from "./keys.ts";
import { prepared } from "./prepared.ts";
import { together } from "./rounds.ts";

/** Asks for a key; see `keyMoments`. */
export interface KeyAsked {
  key: Omit<NewKey, "expires" | "simulated" | "workspaceId" | "replacesId" | "graceMinutes"> & {
    expiresInDays: number;
  };
  actor: Actor;
  delivery: { key: PublicJwk; isCallers: boolean };
  /** Of the request's own trace. */
  traceparent: string | null;
}

export interface KeyIssued {
  lease: Lease;
  keyId: KeyRow["id"];
  issued: IssuedKey;
  /** Whom the key was sealed for. */
  receiver: PublicJwk;
  sealedTo: string;
  claimTtlSeconds: number;
  lastStep: { name: string; made: Record<string, unknown> };
  audit: { actor: Actor; details: Record<string, unknown> };
}

export interface KeyTaken {
  job: Pick<JobRow, "id" | "key_id">;
  actor: Actor;
}

const columnsOf = (table: string, names: readonly string[]) =>
  sql.join(names.map((name) => sql.ref(`${table}.${name.replace(/^keys\./, "")}`)));

/**
 * The three moments of a key's life in which somebody waits, each as one statement for all who come at once: one round
 * trip and one commit for what would be six or seven for each. Each does all of it for a key, audit row included, or
 * nothing at all: then the caller goes the long way, in a transaction that finds out what was in the way. A row that
 * somebody else has locked counts as in the way, so that nobody waits for another's row, and no two can wait for each
 * other. Rows are locked in the order in which everybody locks them, since a part that changes the second row reads
 * what the part that locked the first one returned. They are found by their ids alone and looked at once they are
 * locked: a condition that an index serves would make PostgreSQL read all rows that meet it.
 */
export const keyMoments = {
  /**
   * A key is asked for: its row, its job and the audit row. Undefined when the developer is not active, the vendor not
   * configured or the name taken.
   */
  ask: together<KeyAsked, JobRow | undefined>(async (db, asked) => {
    const items = asked.map(({ key, actor, delivery, traceparent }) => {
      const jobId = newId("job");
      return {
        ...key,
        jobId,
        eventId: newId("evt"),
        actorName: actor.name,
        actorId: actor.id,
        ipAddress: actor.ipAddress,
        receiver: delivery.key,
        isCallers: delivery.isCallers,
        input: jobSpecs.provision.input.parse({ keyId: key.id }),
        traceparent,
        details: {
          outcome: "requested",
          job_id: jobId,
          vendor: key.vendor,
          developer_id: key.developerId,
          workspace_id: null,
          project_name: key.projectName,
          budget_micros: key.budgetMicros,
          rate_limit_rpm: key.rateLimitRpm,
          models_allowed: key.modelsAllowed,
        },
      };
    });
    const { rows } = await sql<JobRow>`${prepared}
      with item as (
        select * from jsonb_to_recordset(${json(items)}) as item (id text, "developerId" text, vendor text,
          "projectName" text, description text, "budgetMicros" bigint, "rateLimitRpm" integer, "modelsAllowed" text[],
          "expiresInDays" integer, "lineageId" text, "createdBy" text, "jobId" text, "eventId" text, "actorName" text,
          "actorId" text, "ipAddress" text, receiver jsonb, "isCallers" boolean, input jsonb, traceparent text,
          details jsonb)
        where ${fewRows("id")}),
      developer as (
        select id from developers where id in (select "developerId" from item) and is_active
        for share skip locked),
      vendor as (
        select vendor, source from vendor_configs where vendor in (select vendor from item)
        for share skip locked),
      made as (
        insert into keys (id, developer_id, vendor, status, project_name, description, budget_micros, rate_limit_rpm,
          models_allowed, expires_at, lineage_id, simulated, created_by)
        select item.id, developer.id, vendor.vendor, 'pending', "projectName", description, "budgetMicros",
          "rateLimitRpm", "modelsAllowed", now() + make_interval(days => "expiresInDays"), "lineageId",
          source = 'simulator', "createdBy"
        from item join developer on developer.id = "developerId" join vendor on vendor.vendor = item.vendor
        order by "projectName" -- all processes write the stems of names in one order, so that none waits for another's
        on conflict do nothing
        returning id, vendor, expires_at),
      job as (
        insert into jobs (id, kind, vendor, key_id, state, input, priority, enqueued_at, requested_by, requested_by_id,
          ip_address, delivery_key, delivery_is_callers, traceparent)
        select "jobId", 'provision', made.vendor, made.id, 'queued', input, ${jobSpecs.provision.priority}::integer,
          now(), "actorName", "actorId", "ipAddress", receiver, "isCallers", traceparent
        from made join item using (id)
        returning ${columnsOf("jobs", jobColumns)}),
      told as (
        insert into audit_events (id, action, actor, resource_type, resource_id, details, ip_address)
        select "eventId", 'key.provision', "actorName", 'key', made.id,
          details || jsonb_build_object('expires_at',
            to_char(made.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), "ipAddress"
        from made join item using (id))
      select * from job`.execute(db);
    const byId = new Map(rows.map((row) => [row.id as string, row]));
    return items.map(({ jobId }) => byId.get(jobId));
  }),

  /**
   * A provisioned key is in force: its last step is done, the key active, the job succeeded. False when the lease was
   * lost, the job is to be stopped, the receiver changed, or the key came to its end.
   */
  issue: together<KeyIssued, boolean>(async (db, all) => {
    const items = all.map(({ lease, keyId, issued, receiver, sealedTo, claimTtlSeconds, lastStep, audit }) => ({
      keyId,
      jobId: lease.jobId,
      token: lease.token,
      sealedTo,
      receiver: receiver.x,
      claimTtlSeconds,
      step: lastStep.name,
      made: lastStep.made,
      hint: issued.hint,
      fingerprints: issued.fingerprints,
      vendorRef: issued.vendorRef,
      limits: issued.limits,
      instructions: issued.instructions,
      eventId: newId("evt"),
      actorName: audit.actor.name,
      ipAddress: audit.actor.ipAddress,
      details: audit.details,
    }));
    const { rows } = await sql<{ id: string }>`${prepared}
      with item as (
        select * from jsonb_to_recordset(${json(items)}) as item ("keyId" text, "jobId" text, token text,
          "sealedTo" text, receiver text, "claimTtlSeconds" integer, step text, made jsonb, hint text,
          fingerprints text[], "vendorRef" jsonb, limits jsonb, instructions jsonb, "eventId" text, "actorName" text,
          "ipAddress" text, details jsonb)
        where ${fewRows("keyId")}),
      held as (
        select keys.id, status from keys join item on keys.id = "keyId" for update of keys skip locked),
      leased as (
        select jobs.id, state, lease_token, cancel_requested, sealed_to, delivery_key, item."keyId"
        from held join item on held.id = "keyId" join jobs on jobs.id = "jobId"
        where status in ('pending', 'active')
        for update of jobs skip locked),
      job as (
        update jobs set state = 'succeeded', error = null, waiting = null, sealed_input = null, lease_token = null,
          lease_until = null, finished_at = now(), claim_until = now() + make_interval(secs => "claimTtlSeconds")
        from leased join item using ("keyId")
        where jobs.id = leased.id and leased.lease_token = token and not leased.cancel_requested
          and leased.sealed_to = "sealedTo" and leased.delivery_key ->> 'x' = receiver
          and leased.state in (${sql.join(workableStates)})
        returning jobs.id, leased."keyId" as key_id),
      ended as (select item.*, job.id as job_id from job join item on "keyId" = job.key_id and "jobId" = job.id),
      step as (
        update saga_steps set status = 'done', made = ended.made, finished_at = now(), unsure_since = null
        from ended where saga_steps.job_id = ended.job_id and name = step),
      active as (
        update keys set status = 'active', hint = ended.hint, fingerprints = ended.fingerprints,
          vendor_ref = "vendorRef", limits = ended.limits, instructions = ended.instructions,
          activated_at = now()
        from ended where keys.id = "keyId" returning keys.id),
      told as (
        insert into audit_events (id, action, actor, resource_type, resource_id, details, ip_address)
        select "eventId", 'key.provision', "actorName", 'key', "keyId", details, "ipAddress" from ended)
      select id from active`.execute(db);
    const active = new Set(rows.map(({ id }) => id));
    return items.map(({ keyId }) => active.has(keyId));
  }),

  /** A provisioned key is taken out of the handoff. Undefined when it was taken before, its time is over or it ended. */
  take: together<KeyTaken, { key: KeyRow; claimedAt: Date } | undefined>(async (db, all) => {
    const items = all.map(({ job, actor }) => ({
      keyId: job.key_id,
      jobId: job.id,
      eventId: newId("evt"),
      actorName: actor.name,
      ipAddress: actor.ipAddress,
    }));
    const { rows } = await sql<KeyRow & { claimed_at: Date }>`${prepared}
      with item as (
        select * from jsonb_to_recordset(${json(items)}) as item ("keyId" text, "jobId" text, "eventId" text,
          "actorName" text, "ipAddress" text)
        where ${fewRows("keyId")}),
      held as (
        select keys.id, status from keys join item on keys.id = "keyId" for update of keys skip locked),
      ended as (
        select jobs.id, state, claimed_at, claim_until, held.id as key_id
        from held join item on held.id = "keyId" join jobs on jobs.id = "jobId"
        where status = 'active'
        for update of jobs skip locked),
      claimed as (
        update jobs set claimed_at = now() from ended
        where jobs.id = ended.id and ended.state = 'succeeded' and ended.claimed_at is null
          and ended.claim_until > now()
        returning jobs.id, ended.key_id),
      taken as (
        update keys set claimed_at = now() from claimed where keys.id = claimed.key_id
        returning ${columnsOf("keys", keyColumns)}),
      told as (
        insert into audit_events (id, action, actor, resource_type, resource_id, details, ip_address)
        select "eventId", 'key.claim', "actorName", 'key', taken.id,
          jsonb_build_object('outcome', 'succeeded', 'job_id', "jobId", 'vendor', taken.vendor,
            'developer_id', taken.developer_id), "ipAddress"
        from taken join item on "keyId" = taken.id)
      select * from taken`.execute(db);
    const byId = new Map(rows.map((row) => [row.id as string, row]));
    return items.map(({ keyId }) => {
      const key = keyId === null ? undefined : byId.get(keyId);
      return key && { key, claimedAt: key.claimed_at };
    });
  }),
};
