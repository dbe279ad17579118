import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { ClaimChallenge, ClaimDispute, ClaimDisputed, ClaimView } from "@keygate/shared/contracts/claims";
import { JobId } from "@keygate/shared/contracts/ids";
import { Secret } from "@keygate/shared/secret";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { makeChallenge } from "../jobs/claim-challenge.ts";
import { findJob } from "../jobs/wait-for-job.ts";
import { jsonAnswer, jsonBody, newApp, problemResponses } from "../route.ts";
import { claimView } from "./claim-view.ts";
import { disputeClaim } from "./dispute-claim.ts";

const tags = ["Claims"];
const params = z.strictObject({ job_id: JobId });

const show = createRoute({
  method: "get",
  path: "/claims/{job_id}",
  tags,
  summary: "For whom a key waits, from whom, until when; takes nothing",
  request: { params },
  responses: { 200: jsonAnswer(ClaimView, "As much as the page behind a link shows"), ...problemResponses(404) },
});

const challenge = createRoute({
  method: "post",
  path: "/claims/{job_id}/challenge",
  tags,
  summary: "A text sealed to the key's receiver",
  description: "Opened, it is the `proof` for POST /jobs/{id}/claim: the private half of a link is never sent.",
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: { 200: jsonAnswer(ClaimChallenge, "Valid for two minutes"), ...problemResponses(404, 409, 413, 415) },
});

const dispute = createRoute({
  method: "post",
  path: "/claims/{job_id}/dispute",
  tags,
  summary: "Report that the key was taken by somebody else",
  request: { params, body: jsonBody(ClaimDispute) },
  responses: { 200: jsonAnswer(ClaimDisputed, "In the audit log"), ...problemResponses(404, 409, 413, 415) },
});

/** For whoever holds a link, without an account; mounted in front of the authentication. */
export function claimRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(show, async (c) => c.json(await claimView(deps, c.req.valid("param").job_id), 200))
    .openapi(challenge, async (c) => {
      const job = await findJob(deps, c.req.valid("param").job_id);
      return c.json(await makeChallenge(deps, job), 200);
    })
    .openapi(dispute, async (c) => {
      const proof = new Secret(c.req.valid("json").proof);
      await disputeClaim(deps, c.req.valid("param").job_id, { proof, ipAddress: c.var.address });
      return c.json({ status: "reported" as const }, 200);
    });
}
