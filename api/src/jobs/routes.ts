import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { JobId } from "@keygate/shared/contracts/ids";
import {
  ClaimRequest,
  JobDetail,
  JobInputRequest,
  JobListQuery,
  JobView,
  ReceiverRequest,
} from "@keygate/shared/contracts/jobs";
import { ProvisionResult, RotateResult } from "@keygate/shared/contracts/keys";
import { jobRows } from "@keygate/shared/db/jobs";
import { must } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { Context } from "hono";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { atJob, noStore, provisionAnswer, rotateAnswer } from "../keys/issued-answer.ts";
import type { Principal } from "../principal.ts";
import { bearer, jsonAnswer, jsonBody, newApp, notFound, pageLink, problemResponses, requireRole } from "../route.ts";
import { demandScope } from "../tokens/scopes.ts";
import { claimKey } from "./claim-key.ts";
import { giveInput } from "./give-input.ts";
import { streamJobEvents } from "./job-events.ts";
import { jobDetail, jobViews } from "./job-view.ts";
import { nameReceiver } from "./name-receiver.ts";
import { waitSecondsOf } from "./prefer.ts";
import { steerJob } from "./steer-job.ts";
import { findJob, hasEnded, type Patience } from "./wait-for-job.ts";

const tags = ["Jobs"];
const params = z.strictObject({ id: JobId });

const list = createRoute({
  method: "get",
  path: "/jobs",
  tags,
  summary: "Jobs, newest first",
  security: bearer,
  request: { query: JobListQuery },
  responses: { 200: jsonAnswer(z.array(JobView), "One page; the next is in `Link`"), ...problemResponses() },
});

const show = createRoute({
  method: "get",
  path: "/jobs/{id}",
  tags,
  summary: "One job: how far it is, what it waits for, why it failed",
  security: bearer,
  request: { params },
  responses: { 200: jsonAnswer(JobDetail, "The job with its steps"), ...problemResponses(404) },
});

const events = createRoute({
  method: "get",
  path: "/jobs/{id}/events",
  tags,
  summary: "A job's progress as server-sent events",
  description: "Event `job` carries the job as JSON, at first and at every change. Ends when the job has ended.",
  security: bearer,
  request: { params },
  responses: {
    200: { description: "The events", content: { "text/event-stream": { schema: z.string() } } },
    ...problemResponses(404),
  },
});

const claim = createRoute({
  method: "post",
  path: "/jobs/{id}/claim",
  tags,
  summary: "Take the key that a job made, once",
  description: "Needs the claim token, or the bearer token of whoever asked for the key. Waits like a provision does.",
  security: [{}, ...bearer],
  request: { params, body: jsonBody(ClaimRequest) },
  responses: {
    200: jsonAnswer(z.union([RotateResult, ProvisionResult]), "The key, this once"),
    ...problemResponses(400, 404, 409, 410, 413, 415, 502, 503),
  },
});

const jobAnswers = {
  200: jsonAnswer(JobView, "The job has ended"),
  202: jsonAnswer(JobView, "The job goes on: follow it at `Location`"),
};

const input = createRoute({
  method: "post",
  path: "/jobs/{id}/input",
  tags,
  summary: "Give a job the key that it waits for",
  security: bearer,
  request: { params, body: jsonBody(JobInputRequest) },
  responses: { ...jobAnswers, ...problemResponses(400, 404, 409, 413, 415, 502, 503) },
});

const receiver = createRoute({
  method: "put",
  path: "/jobs/{id}/receiver",
  tags,
  summary: "Name a new receiver of a key that nobody took yet",
  description: "For who asked for the key and lost what opens it. A key that was sealed already is made anew.",
  security: bearer,
  request: { params, body: jsonBody(ReceiverRequest) },
  responses: { 202: jobAnswers[202], ...problemResponses(400, 404, 409, 410, 413, 415) },
});

const retry = createRoute({
  method: "post",
  path: "/jobs/{id}/retry",
  tags,
  summary: "Run a waiting or stuck job again now",
  security: bearer,
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: { 202: jobAnswers[202], ...problemResponses(400, 404, 409, 413, 415) },
});

const cancel = createRoute({
  method: "post",
  path: "/jobs/{id}/cancel",
  tags,
  summary: "Stop a job that makes a key, and undo what it made",
  security: bearer,
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: { 202: jobAnswers[202], ...problemResponses(400, 404, 409, 413, 415) },
});

/** Jobs: look at them, follow them, take their key, steer them. */
export function jobRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  const viewOf = async (id: JobId) => {
    const [view] = await jobViews(deps.db, [await findJob(deps, id)], deps.clock());
    return must(view, "the view of a job");
  };
  const routes = newApp()
    .openapi(list, async (c) => {
      const page = await jobRows(deps.db).list(c.req.valid("query"));
      pageLink(c, page.next);
      return c.json(await jobViews(deps.db, page.items, deps.clock()), 200);
    })
    .openapi(show, async (c) => {
      const job = await findJob(deps, c.req.valid("param").id);
      return c.json(await jobDetail(deps.db, job, deps.clock()), 200);
    })
    .openapi(claim, async (c) => {
      const { claim_token: token, proof } = c.req.valid("json");
      // The one call that needs no bearer token: somebody may hold nothing but the claim token.
      const principal: Principal | undefined = c.var.principal;
      if (principal && token === undefined && proof === undefined) {
        if (principal.kind === "token") await demandScope(deps, c, principal.token);
        else await requireRole("admin")(c, async () => {});
      }
      const claimed = await claimKey(deps, c.req.valid("param").id, {
        token: token === undefined ? null : new Secret(token),
        proof: proof === undefined ? null : new Secret(proof),
        actor: principal ? c.var.actor : null,
        ipAddress: c.var.address,
        ...patienceOf(c),
      });
      const answer = claimed.job.kind === "rotate" ? rotateAnswer : provisionAnswer;
      return c.json(await answer(deps, claimed, c.req.raw.signal), 200, noStore);
    })
    .openapi(input, async (c) => {
      const key = new Secret(c.req.valid("json").api_key);
      const caller = { actor: c.var.actor, ...patienceOf(c) };
      const job = await giveInput(deps, c.req.valid("param").id, key, caller);
      const view = await viewOf(job.id);
      return hasEnded(job) ? c.json(view, 200) : c.json(view, 202, atJob(job));
    })
    .openapi(receiver, async (c) => {
      const job = await nameReceiver(deps, c.req.valid("param").id, c.req.valid("json").public_key, c.var.actor);
      return c.json(await viewOf(job.id), 202, atJob(job));
    })
    .openapi(retry, async (c) => {
      const job = await steerJob(deps, "retry", c.req.valid("param").id, c.var.actor);
      return c.json(await viewOf(job.id), 202, atJob(job));
    })
    .openapi(cancel, async (c) => {
      const job = await steerJob(deps, "cancel", c.req.valid("param").id, c.var.actor);
      return c.json(await viewOf(job.id), 202, atJob(job));
    });
  // A stream is no typed answer, so this one route is described and handled apart.
  routes.openAPIRegistry.registerPath(events);
  routes.get("/jobs/:id/events", async (c) => {
    const parsed = JobId.safeParse(c.req.param("id"));
    if (!parsed.success) throw notFound(parsed.error);
    return streamJobEvents(c, deps, await findJob(deps, parsed.data));
  });
  return routes;
}

const patienceOf = (c: Context<Env>): Patience => ({
  waitSeconds: waitSecondsOf(c),
  signal: c.req.raw.signal,
  stillHolds: c.var.stillHolds,
});
