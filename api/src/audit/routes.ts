import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { verifyLog } from "@keygate/shared/audit/verify-log";
import {
  AuditEvent,
  AuditExportQuery,
  AuditListQuery,
  AuditVerification,
  AuditVerifyQuery,
} from "@keygate/shared/contracts/audit";
import { auditRows } from "@keygate/shared/db/audit";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { bearer, jsonAnswer, newApp, pageLink, problemResponses } from "../route.ts";
import { exportRows, exportSealed } from "./export-audit.ts";

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
  summary: "The log as NDJSON, with everything that is needed to check it",
  request: { query: AuditExportQuery },
  responses: {
    200: {
      description:
        "Rows, the checkpoints that seal them, and the keys that sign those, oldest first: what `npm run audit-verify` reads. `format=rows`: events as in `GET /audit`, newest first",
      content: { "application/x-ndjson": { schema: z.string().meta({ description: "One JSON object per line" }) } },
    },
    ...problemResponses(),
  },
});

const verify = createRoute({
  ...common,
  method: "get",
  path: "/audit/verify",
  summary: "Whether the log is whole",
  request: { query: AuditVerifyQuery },
  responses: { 200: jsonAnswer(AuditVerification, "What was found"), ...problemResponses() },
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
      const { format, ...filter } = c.req.valid("query");
      const lines =
        format === "rows"
          ? exportRows(deps.db, filter)
          : exportSealed(deps.db, filter, { now: deps.clock(), signal: c.req.raw.signal });
      return asLines(c.body(lines, 200, headers));
    })
    .openapi(verify, async (c) => {
      const { since_checkpoint: sinceCheckpoint, expect_head: expectHead } = c.req.valid("query");
      c.header("Cache-Control", "no-store");
      const options = { sinceCheckpoint, expectHead, signal: c.req.raw.signal };
      return c.json(await verifyLog(deps.db, deps.keyring, options), 200);
    });
}
