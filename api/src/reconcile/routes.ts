import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { FindingId } from "@keygate/shared/contracts/ids";
import { JobView } from "@keygate/shared/contracts/jobs";
import { KeyView } from "@keygate/shared/contracts/keys";
import {
  AdoptRequest,
  FindingListQuery,
  ReconcileAccepted,
  ReconcileReport,
  ReconcileRequest,
} from "@keygate/shared/contracts/reconcile";
import { keyRows } from "@keygate/shared/db/keys";
import { reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import { reconcileRunRows } from "@keygate/shared/db/reconcile-runs";
import { must } from "@keygate/shared/errors";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { jobViews } from "../jobs/job-view.ts";
import { keyView } from "../keys/key-view.ts";
import { bearer, jobLocation, jsonAnswer, jsonBody, newApp, pageLink, problemResponses } from "../route.ts";
import { requestReconcile } from "./request-reconcile.ts";
import { adoptKey, removeFinding } from "./settle-finding.ts";
import { findingView, runView } from "./view.ts";

const common = { tags: ["Reconcile"], security: bearer };
const params = z.strictObject({ id: FindingId });

const report = createRoute({
  ...common,
  method: "get",
  path: "/reconcile",
  summary: "What stands at the vendors against what KeyGate holds",
  description: "The newest run of each vendor, and findings, newest first; their next page is in `Link`.",
  request: { query: FindingListQuery },
  responses: { 200: jsonAnswer(ReconcileReport, "Runs and findings"), ...problemResponses() },
});

const look = createRoute({
  ...common,
  method: "post",
  path: "/reconcile",
  summary: "Look now, at one vendor or at all",
  description: "A look that is under way is joined. It is paced: a large organization takes an hour.",
  request: { body: jsonBody(ReconcileRequest) },
  responses: {
    202: jsonAnswer(ReconcileAccepted, "The looks that are under way now"),
    ...problemResponses(400, 409, 413, 415),
  },
});

const adopt = createRoute({
  ...common,
  method: "post",
  path: "/reconcile/{id}/adopt",
  summary: "Make an unmanaged key a key of a developer",
  description: "So that it can be rotated and revoked. KeyGate never learns its secret.",
  request: { params, body: jsonBody(AdoptRequest) },
  responses: { 200: jsonAnswer(KeyView, "The key"), ...problemResponses(400, 404, 409, 413, 415) },
});

const remove = createRoute({
  ...common,
  method: "post",
  path: "/reconcile/{id}/remove",
  summary: "Remove what nobody accounts for",
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: {
    202: jsonAnswer(JobView, "A job removes it: follow it at `Location`"),
    ...problemResponses(400, 404, 409, 413, 415),
  },
});

/** Reconcile: what was found, looking now, and what to do about it. */
export function reconcileRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(report, async (c) => {
      const query = c.req.valid("query");
      const [runs, page] = await Promise.all([
        reconcileRunRows(deps.db).newest(),
        reconcileFindingRows(deps.db).list(query),
      ]);
      pageLink(c, page.next);
      const wanted = runs.filter(({ vendor }) => !query.vendor || vendor === query.vendor);
      const findings = page.items.map((row) => findingView(row, deps.clock()));
      return c.json({ runs: wanted.map(runView), findings }, 200);
    })
    .openapi(look, async (c) => {
      const jobs = await requestReconcile(deps, c.var.actor, c.req.valid("json").vendor);
      return c.json({ jobs }, 202, jobLocation(jobs.length === 1 ? (jobs[0]?.job_id ?? null) : null));
    })
    .openapi(adopt, async (c) => {
      const { id } = await adoptKey(deps, c.var.actor, c.req.valid("param").id, c.req.valid("json"));
      return c.json(keyView(must(await keyRows(deps.db).find(id), "the adopted key")), 200);
    })
    .openapi(remove, async (c) => {
      const job = await removeFinding(deps, c.var.actor, c.req.valid("param").id);
      const [view] = await jobViews(deps.db, [job], deps.clock());
      return c.json(must(view, "the view of a job"), 202, jobLocation(job.id));
    });
}
