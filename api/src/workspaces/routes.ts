import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { WorkspaceId } from "@keygate/shared/contracts/ids";
import {
  CreateWorkspace,
  UpdateWorkspace,
  WorkspaceListQuery,
  WorkspaceView,
} from "@keygate/shared/contracts/workspaces";
import { workspaceRows } from "@keygate/shared/db/workspaces";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { keepAnswer } from "../middleware/idempotency.ts";
import { bearer, jsonAnswer, jsonBody, newApp, pageLink, problemResponses } from "../route.ts";
import { archiveWorkspace, changeWorkspace, createWorkspace, findWorkspace } from "./change-workspace.ts";
import { workspaceView } from "./view.ts";

const common = { tags: ["Workspaces"], security: bearer };
const params = z.strictObject({ id: WorkspaceId });

const list = createRoute({
  ...common,
  method: "get",
  path: "/workspaces",
  summary: "List workspaces, newest first",
  request: { query: WorkspaceListQuery },
  responses: { 200: jsonAnswer(z.array(WorkspaceView), "A page of workspaces"), ...problemResponses() },
});

const create = createRoute({
  ...common,
  method: "post",
  path: "/workspaces",
  summary: "Make a workspace",
  request: { body: jsonBody(CreateWorkspace) },
  responses: { 200: jsonAnswer(WorkspaceView, "Made"), ...problemResponses(400, 409, 413, 415) },
});

const read = createRoute({
  ...common,
  method: "get",
  path: "/workspaces/{id}",
  summary: "Read a workspace",
  request: { params },
  responses: { 200: jsonAnswer(WorkspaceView, "The workspace"), ...problemResponses(404) },
});

const edit = createRoute({
  ...common,
  method: "put",
  path: "/workspaces/{id}",
  summary: "Change a workspace: what is given, the rest stays",
  request: { params, body: jsonBody(UpdateWorkspace) },
  responses: { 200: jsonAnswer(WorkspaceView, "Changed"), ...problemResponses(400, 404, 409, 413, 415) },
});

const archive = createRoute({
  ...common,
  method: "post",
  path: "/workspaces/{id}/archive",
  summary: "Archive a workspace that has no live keys",
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: { 200: jsonAnswer(WorkspaceView, "Archived"), ...problemResponses(404, 409) },
});

export function workspaceRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(list, async (c) => {
      const { items, next } = await workspaceRows(deps.db).list(c.req.valid("query"));
      pageLink(c, next);
      return c.json(items.map(workspaceView), 200);
    })
    .openapi(create, async (c) => {
      const workspace = await createWorkspace(deps, c.var.actor, c.req.valid("json"), keepAnswer(c, workspaceView));
      return c.json(workspaceView(workspace), 200);
    })
    .openapi(read, async (c) => {
      const workspace = await findWorkspace(deps.db, c.req.valid("param").id);
      return c.json(workspaceView(workspace), 200);
    })
    .openapi(edit, async (c) => {
      const { id } = c.req.valid("param");
      const workspace = await changeWorkspace(deps, c.var.actor, id, c.req.valid("json"));
      return c.json(workspaceView(workspace), 200);
    })
    .openapi(archive, async (c) => {
      const workspace = await archiveWorkspace(deps, c.var.actor, c.req.valid("param").id);
      return c.json(workspaceView(workspace), 200);
    });
}
