import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import {
  CreateDeveloper,
  DeactivateResult,
  DeveloperListQuery,
  DeveloperView,
  SetDeveloperRole,
  UpdateDeveloper,
} from "@keygate/shared/contracts/developers";
import { DeveloperId } from "@keygate/shared/contracts/ids";
import { developerRows } from "@keygate/shared/db/developers";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { callerOf } from "../keys/ask-for-key.ts";
import { keepAnswer } from "../middleware/idempotency.ts";
import { bearer, jobLocation, jsonAnswer, jsonBody, newApp, pageLink, problemResponses } from "../route.ts";
import { changeDeveloper, findDeveloper, setDeveloperRole } from "./change-developer.ts";
import { createDeveloper } from "./create-developer.ts";
import { deactivateDeveloper } from "./deactivate-developer.ts";
import { developerView } from "./view.ts";

const common = { tags: ["Developers"], security: bearer };
const params = z.strictObject({ id: DeveloperId });

const create = createRoute({
  ...common,
  method: "post",
  path: "/developers",
  summary: "Register a developer",
  request: { body: jsonBody(CreateDeveloper) },
  responses: { 200: jsonAnswer(DeveloperView, "Registered"), ...problemResponses(400, 413, 415) },
});

const list = createRoute({
  ...common,
  method: "get",
  path: "/developers",
  summary: "List developers, newest first",
  request: { query: DeveloperListQuery },
  responses: { 200: jsonAnswer(z.array(DeveloperView), "A page of developers"), ...problemResponses() },
});

const read = createRoute({
  ...common,
  method: "get",
  path: "/developers/{id}",
  summary: "Read a developer",
  request: { params },
  responses: { 200: jsonAnswer(DeveloperView, "The developer"), ...problemResponses(404) },
});

const edit = createRoute({
  ...common,
  method: "patch",
  path: "/developers/{id}",
  summary: "Edit a developer's name, e-mail or team",
  request: { params, body: jsonBody(UpdateDeveloper) },
  responses: { 200: jsonAnswer(DeveloperView, "Changed"), ...problemResponses(400, 404, 413, 415) },
});

const setRole = createRoute({
  ...common,
  method: "put",
  path: "/developers/{id}/role",
  summary: "Set a developer's role in their organization",
  request: { params, body: jsonBody(SetDeveloperRole) },
  responses: { 200: jsonAnswer(DeveloperView, "Changed"), ...problemResponses(400, 404, 413, 415) },
});

const deactivate = createRoute({
  ...common,
  method: "delete",
  path: "/developers/{id}",
  summary: "Deactivate a developer and revoke all their keys",
  description: "Waits for the vendors, 25 s unless `Prefer: wait=N` or `respond-async` says otherwise.",
  request: { params },
  responses: {
    200: jsonAnswer(DeactivateResult, "Deactivated; every key is confirmed dead at its vendor"),
    202: jsonAnswer(DeactivateResult, "Deactivated; the job goes on revoking"),
    ...problemResponses(404),
  },
});

export function developerRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(create, async (c) => {
      const keep = keepAnswer(c, developerView);
      const developer = await createDeveloper(deps, c.var.actor, c.req.valid("json"), keep);
      return c.json(developerView(developer), 200);
    })
    .openapi(list, async (c) => {
      const { items, next } = await developerRows(deps.db).list(c.req.valid("query"));
      pageLink(c, next);
      return c.json(items.map(developerView), 200);
    })
    .openapi(read, async (c) => {
      const developer = await findDeveloper(deps.db, c.req.valid("param").id);
      return c.json(developerView(developer), 200);
    })
    .openapi(edit, async (c) => {
      const { id } = c.req.valid("param");
      const developer = await changeDeveloper(deps, c.var.actor, id, c.req.valid("json"));
      return c.json(developerView(developer), 200);
    })
    .openapi(setRole, async (c) => {
      const { id } = c.req.valid("param");
      const developer = await setDeveloperRole(deps, c.var.actor, id, c.req.valid("json").role);
      return c.json(developerView(developer), 200);
    })
    .openapi(deactivate, async (c) => {
      const { id } = c.req.valid("param");
      const result = await deactivateDeveloper(deps, id, callerOf(c));
      const body = { status: "deactivated" as const, keys_revoked: result.keysRevoked, job_id: result.jobId };
      return result.isDone ? c.json(body, 200) : c.json(body, 202, jobLocation(result.jobId));
    });
}
