import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { AuditEvent, AuditListQuery } from "@keygate/shared/contracts/audit";
import { auditRows } from "@keygate/shared/db/audit";
import { KeyGateError } from "@keygate/shared/errors";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { bearer, jsonAnswer, newApp, pageLink, problemResponses } from "../route.ts";
import { exportAudit } from "./export-audit.ts";

const common = { tags: ["Audit"], security: bearer };

const list = createRoute({
  ...common,
  method: "get",
  path: "/audit",
  summary: "Who did what, newest first",
  request: { query: AuditListQuery },
  responses: { 200: jsonAnswer(z.array(AuditEvent), "A page of the log"), ...problemResponses() },
});

const exportAll = createRoute({
  ...common,
  method: "get",
  path: "/audit/export",
  summary: "The whole log as NDJSON, newest first",
  request: { query: AuditListQuery.omit({ limit: true, cursor: true }) },
  responses: {
    200: {
      description: "One event per line",
      content: { "application/x-ndjson": { schema: z.string().meta({ description: "Events as in `GET /audit`" }) } },
    },
    ...problemResponses(),
  },
});

const verify = createRoute({
  ...common,
  method: "get",
  path: "/audit/verify",
  summary: "Whether the log is whole",
  responses: { ...problemResponses(501) },
});

// The types of routes know JSON and text; a stream of lines is neither, and right all the same.
const asLines = (response: Response) => response as never;

export function auditRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(list, async (c) => {
      const { items, next } = await auditRows(deps.db).list(c.req.valid("query"));
      pageLink(c, next);
      return c.json(items, 200);
    })
    .openapi(exportAll, (c) => {
      const stamp = deps.clock().toISOString().slice(0, 10);
      const headers = {
        "Content-Type": "application/x-ndjson",
        "Content-Disposition": `attachment; filename="keygate-audit-${stamp}.ndjson"`,
      };
      return asLines(c.body(exportAudit(deps.db, c.req.valid("query")), 200, headers));
    })
    .openapi(verify, () => {
      throw new KeyGateError("audit.not_verifiable");
    });
}
