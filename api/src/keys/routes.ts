import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { KeyId } from "@keygate/shared/contracts/ids";
import {
  BatchResult,
  BatchRevokeRequest,
  FindBySecretRequest,
  FoundKey,
  JobAccepted,
  KeyDetail,
  KeyListQuery,
  KeyView,
  ProvisionRequest,
  ProvisionResult,
  RevokeResult,
  RotateRequest,
  RotateResult,
} from "@keygate/shared/contracts/keys";
import { jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { hasEnded } from "../jobs/wait-for-job.ts";
import { bearer, jsonAnswer, jsonBody, newApp, pageLink, problemResponses } from "../route.ts";
import { askForKey, callerOf } from "./ask-for-key.ts";
import { findBySecret } from "./find-by-secret.ts";
import { atJob, isDelivered, jobAccepted, noStore, provisionAnswer, rotateAnswer } from "./issued-answer.ts";
import { keyDetail, keyView } from "./key-view.ts";
import { provisionKey } from "./provision-key.ts";
import { batchResult, revokeBatch } from "./revoke-batch.ts";
import { revokeKey } from "./revoke-key.ts";
import { keyNotFound, rotateKey } from "./rotate-key.ts";

const tags = ["Keys"];
const params = z.object({ id: KeyId });
const acceptedAnswer = jsonAnswer(JobAccepted, "Not done yet: follow the job at `Location`, then claim the key");

const provision = createRoute({
  method: "post",
  path: "/keys/provision",
  tags,
  summary: "Make a key for a developer",
  description: "Waits up to 25 s for the key; `Prefer: wait=N` or `respond-async` say otherwise.",
  security: bearer,
  request: { body: jsonBody(ProvisionRequest) },
  responses: {
    200: jsonAnswer(ProvisionResult, "The key, this once"),
    202: acceptedAnswer,
    ...problemResponses(400, 404, 409, 410, 413, 415, 429, 502, 503),
  },
});

const rotate = createRoute({
  method: "post",
  path: "/keys/{id}/rotate",
  tags,
  summary: "Replace a key",
  description: "Makes and delivers the new key first; then the old one dies at the vendor, after its grace.",
  security: bearer,
  request: { params, body: jsonBody(RotateRequest) },
  responses: {
    200: jsonAnswer(RotateResult, "The new key, this once"),
    202: acceptedAnswer,
    ...problemResponses(400, 404, 409, 410, 413, 415, 429, 502, 503),
  },
});

const revoke = createRoute({
  method: "post",
  path: "/keys/{id}/revoke",
  tags,
  summary: "Revoke a key at its vendor",
  security: bearer,
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: {
    200: jsonAnswer(RevokeResult, "The vendor confirmed that the key is gone"),
    202: jsonAnswer(JobAccepted, "Under way: KeyGate goes on until the vendor confirms"),
    ...problemResponses(400, 404, 413, 415),
  },
});

const revokeMany = createRoute({
  method: "post",
  path: "/keys/revoke",
  tags,
  summary: "Revoke many keys, ahead of everything else",
  security: bearer,
  request: { body: jsonBody(BatchRevokeRequest) },
  responses: {
    200: jsonAnswer(BatchResult, "Every revocation has ended"),
    202: jsonAnswer(BatchResult, "Under way: follow the job at `Location`"),
    ...problemResponses(400, 409, 413, 415),
  },
});

const findLeaked = createRoute({
  method: "post",
  path: "/keys/find-by-secret",
  tags,
  summary: "Whose key is this? Compares fingerprints and keeps nothing",
  security: bearer,
  request: { body: jsonBody(FindBySecretRequest) },
  responses: {
    200: jsonAnswer(z.array(FoundKey), "The keys that it is, or may be"),
    ...problemResponses(400, 413, 415),
  },
});

const list = createRoute({
  method: "get",
  path: "/keys",
  tags,
  summary: "Keys, newest first; never the secret",
  security: bearer,
  request: { query: KeyListQuery },
  responses: { 200: jsonAnswer(z.array(KeyView), "One page; the next is in `Link`"), ...problemResponses() },
});

const show = createRoute({
  method: "get",
  path: "/keys/{id}",
  tags,
  summary: "One key, with its limits and who enforces each",
  security: bearer,
  request: { params },
  responses: { 200: jsonAnswer(KeyDetail, "The key's metadata"), ...problemResponses(404) },
});

/** Keys: ask for them, replace them, end them, look at them. */
export function keyRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(provision, async (c) => {
      const request = c.req.valid("json");
      const { delivery, receiver } = await askForKey(deps, callerOf(c), request.delivery, (asking) =>
        provisionKey(deps, request, asking),
      );
      if (!isDelivered(delivery)) return c.json(jobAccepted(delivery.job, receiver), 202, atJob(delivery.job));
      return c.json(await provisionAnswer(deps, delivery), 200, noStore);
    })
    .openapi(rotate, async (c) => {
      const { delivery: asked, grace_period_minutes: graceMinutes } = c.req.valid("json");
      const { id } = c.req.valid("param");
      const caller = callerOf(c);
      const { delivery, receiver } = await askForKey(deps, caller, asked, (asking) =>
        rotateKey(deps, id, graceMinutes, asking),
      );
      if (!isDelivered(delivery)) return c.json(jobAccepted(delivery.job, receiver), 202, atJob(delivery.job));
      return c.json(await rotateAnswer(deps, delivery, caller.signal), 200, noStore);
    })
    .openapi(findLeaked, async (c) => {
      const findings = await findBySecret(deps, c.var.actor, new Secret(c.req.valid("json").text));
      return c.json(
        findings.map(({ match, key }) => ({ match, key: keyView(key) })),
        200,
      );
    })
    .openapi(revokeMany, async (c) => {
      const batch = await revokeBatch(deps, c.req.valid("json"), callerOf(c));
      const body = await batchResult(deps, batch);
      return hasEnded(batch) ? c.json(body, 200) : c.json(body, 202, atJob(batch));
    })
    .openapi(revoke, async (c) => {
      const { id } = c.req.valid("param");
      const revocation = await revokeKey(deps, id, callerOf(c));
      if (revocation.outcome === "under_way") {
        return c.json(jobAccepted(revocation.job, null), 202, atJob(revocation.job));
      }
      return c.json({ status: "revoked" as const, key_id: id, job_id: revocation.jobId }, 200);
    })
    .openapi(list, async (c) => {
      const page = await keyRows(deps.db).list(c.req.valid("query"));
      pageLink(c, page.next);
      return c.json(page.items.map(keyView), 200);
    })
    .openapi(show, async (c) => {
      const { id } = c.req.valid("param");
      const key = await keyRows(deps.db).find(id);
      if (!key) throw keyNotFound(id);
      return c.json(keyDetail(key, await jobRows(deps.db).newestOfKey(id)), 200);
    });
}
