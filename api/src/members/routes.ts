import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { DeactivateResult, DeveloperListQuery, SetDeveloperRole } from "@keygate/shared/contracts/developers";
import { DeveloperId } from "@keygate/shared/contracts/ids";
import { InviteMember, MemberView } from "@keygate/shared/contracts/members";
import { type DeveloperRow, developerRows } from "@keygate/shared/db/developers";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import { findDeveloper, setDeveloperRole } from "../developers/change-developer.ts";
import { createDeveloper } from "../developers/create-developer.ts";
import { deactivateDeveloper } from "../developers/deactivate-developer.ts";
import { developerView } from "../developers/view.ts";
import type { Env } from "../env.ts";
import { callerOf } from "../keys/ask-for-key.ts";
import { keepAnswer } from "../middleware/idempotency.ts";
import { bearer, jobLocation, jsonAnswer, jsonBody, newApp, pageLink, problemResponses } from "../route.ts";

const common = { tags: ["Members"], security: bearer };
const params = z.strictObject({ id: DeveloperId });

// Who is suspended is part of the picture here, so the list holds everybody unless told otherwise.
const MemberListQuery = DeveloperListQuery.extend({
  active_only: z
    .enum(["true", "false", "1", "0"])
    .default("false")
    .transform((value) => value === "true" || value === "1"),
});

const SuspendResult = MemberView.extend(DeactivateResult.pick({ keys_revoked: true, job_id: true }).shape).meta({
  id: "SuspendResult",
});

const memberView = (row: DeveloperRow): MemberView => ({
  ...developerView(row),
  status: row.is_active ? "active" : "suspended",
});

const list = createRoute({
  ...common,
  method: "get",
  path: "/members",
  summary: "List members, newest first",
  request: { query: MemberListQuery },
  responses: { 200: jsonAnswer(z.array(MemberView), "A page of members"), ...problemResponses() },
});

const invite = createRoute({
  ...common,
  method: "post",
  path: "/members/invite",
  summary: "Register a member",
  request: { body: jsonBody(InviteMember) },
  responses: { 200: jsonAnswer(MemberView, "Registered"), ...problemResponses(400, 413, 415) },
});

const setRole = createRoute({
  ...common,
  method: "put",
  path: "/members/{id}/role",
  summary: "Set a member's role",
  request: { params, body: jsonBody(SetDeveloperRole) },
  responses: { 200: jsonAnswer(MemberView, "Changed"), ...problemResponses(400, 404, 413, 415) },
});

const suspend = createRoute({
  ...common,
  method: "post",
  path: "/members/{id}/suspend",
  summary: "Suspend a member and revoke all their keys",
  description: "The same as `DELETE /developers/{id}`.",
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: {
    200: jsonAnswer(SuspendResult, "Suspended; every key is confirmed dead at its vendor"),
    202: jsonAnswer(SuspendResult, "Suspended; the job goes on revoking"),
    ...problemResponses(404),
  },
});

/** The developers, under the name that existing clients use. */
export function memberRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(list, async (c) => {
      const { items, next } = await developerRows(deps.db).list(c.req.valid("query"));
      pageLink(c, next);
      return c.json(items.map(memberView), 200);
    })
    .openapi(invite, async (c) => {
      const keep = keepAnswer(c, memberView);
      const developer = await createDeveloper(deps, c.var.actor, c.req.valid("json"), keep);
      return c.json(memberView(developer), 200);
    })
    .openapi(setRole, async (c) => {
      const { id } = c.req.valid("param");
      const developer = await setDeveloperRole(deps, c.var.actor, id, c.req.valid("json").role);
      return c.json(memberView(developer), 200);
    })
    .openapi(suspend, async (c) => {
      const { id } = c.req.valid("param");
      const result = await deactivateDeveloper(deps, id, callerOf(c));
      const member = memberView(await findDeveloper(deps.db, id));
      const body = { ...member, keys_revoked: result.keysRevoked, job_id: result.jobId };
      return result.isDone ? c.json(body, 200) : c.json(body, 202, jobLocation(result.jobId));
    });
}
