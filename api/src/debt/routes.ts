import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { Debt, DebtListQuery, WriteOffRequest } from "@keygate/shared/contracts/debt";
import { JobId } from "@keygate/shared/contracts/ids";
import { debtRows } from "@keygate/shared/db/debt";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { bearer, jobLocation, jsonAnswer, jsonBody, newApp, pageLink, problemResponses } from "../route.ts";
import { retryDebt, writeOffDebt } from "./settle-debt.ts";

const common = { tags: ["Debt"], security: bearer };
const params = z.strictObject({ job_id: JobId });

const list = createRoute({
  ...common,
  method: "get",
  path: "/debt",
  summary: "What must go at the vendors and has not gone yet, newest first",
  description:
    "Revocations and compensations whose fast tries are over. KeyGate goes on trying, every five minutes, without end and in nobody's way.",
  request: { query: DebtListQuery },
  responses: { 200: jsonAnswer(z.array(Debt), "One page; the next is in `Link`"), ...problemResponses() },
});

const retry = createRoute({
  ...common,
  method: "post",
  path: "/debt/{job_id}/retry",
  summary: "One try now",
  description: "Also takes a write-off back.",
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: {
    202: jsonAnswer(Debt, "A worker takes it up: follow it at `Location`"),
    ...problemResponses(400, 404, 409, 413, 415),
  },
});

const writeOff = createRoute({
  ...common,
  method: "post",
  path: "/debt/{job_id}/write-off",
  summary: "Stop trying, with a reason",
  description:
    "Nothing is tried or alerted any more. The key goes on saying `revoking`, since nobody has seen it gone, and the debt stays on the list with `include_written_off=true`.",
  request: { params, body: jsonBody(WriteOffRequest) },
  responses: { 200: jsonAnswer(Debt, "Written off"), ...problemResponses(400, 404, 409, 413, 415) },
});

/** Debt: what the vendors have not let KeyGate take away yet. */
export function debtRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(list, async (c) => {
      const page = await debtRows(deps.db).list(c.req.valid("query"));
      pageLink(c, page.next);
      return c.json(page.items, 200);
    })
    .openapi(retry, async (c) => {
      const debt = await retryDebt(deps, c.var.actor, c.req.valid("param").job_id);
      return c.json(debt, 202, jobLocation(debt.job_id));
    })
    .openapi(writeOff, async (c) => {
      const { reason } = c.req.valid("json");
      return c.json(await writeOffDebt(deps, c.var.actor, c.req.valid("param").job_id, reason), 200);
    });
}
