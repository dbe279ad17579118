import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { DeveloperId, WorkspaceId } from "@keygate/shared/contracts/ids";
import { AddWorkspaceMember, SetWorkspaceRole, WorkspaceMemberView } from "@keygate/shared/contracts/workspaces";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { keepAnswer } from "../middleware/idempotency.ts";
import { bearer, jsonAnswer, jsonBody, newApp, problemResponses } from "../route.ts";
import { addMember, listMembers, removeMember, setMemberRole } from "./change-members.ts";

const common = { tags: ["Workspaces"], security: bearer };
const params = z.strictObject({ id: WorkspaceId });
const memberParams = z.strictObject({ id: WorkspaceId, dev: DeveloperId });

const RemoveMemberResult = z
  .object({ status: z.literal("removed"), workspace_id: WorkspaceId, developer_id: DeveloperId })
  .meta({ id: "RemoveMemberResult" });

const list = createRoute({
  ...common,
  method: "get",
  path: "/workspaces/{id}/members",
  summary: "List a workspace's members",
  request: { params },
  responses: { 200: jsonAnswer(z.array(WorkspaceMemberView), "All members"), ...problemResponses(404) },
});

const add = createRoute({
  ...common,
  method: "post",
  path: "/workspaces/{id}/members",
  summary: "Add a developer to a workspace",
  request: { params, body: jsonBody(AddWorkspaceMember) },
  responses: { 200: jsonAnswer(WorkspaceMemberView, "Added"), ...problemResponses(400, 404, 409, 413, 415) },
});

const setRole = createRoute({
  ...common,
  method: "put",
  path: "/workspaces/{id}/members/{dev}/role",
  summary: "Set a member's role in a workspace",
  request: { params: memberParams, body: jsonBody(SetWorkspaceRole) },
  responses: { 200: jsonAnswer(WorkspaceMemberView, "Changed"), ...problemResponses(400, 404, 409, 413, 415) },
});

const remove = createRoute({
  ...common,
  method: "delete",
  path: "/workspaces/{id}/members/{dev}",
  summary: "Remove a developer from a workspace; keys that they have in it stay",
  request: { params: memberParams },
  responses: { 200: jsonAnswer(RemoveMemberResult, "Removed"), ...problemResponses(404) },
});

export function workspaceMemberRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(list, async (c) => c.json(await listMembers(deps.db, c.req.valid("param").id), 200))
    .openapi(add, async (c) => {
      const keep = keepAnswer(c, (member: z.infer<typeof WorkspaceMemberView>) => member);
      const member = await addMember(deps, c.var.actor, c.req.valid("param").id, c.req.valid("json"), keep);
      return c.json(member, 200);
    })
    .openapi(setRole, async (c) => {
      const { id, dev } = c.req.valid("param");
      return c.json(await setMemberRole(deps, c.var.actor, id, dev, c.req.valid("json").role), 200);
    })
    .openapi(remove, async (c) => {
      const { id, dev } = c.req.valid("param");
      await removeMember(deps, c.var.actor, id, dev);
      return c.json({ status: "removed" as const, workspace_id: id, developer_id: dev }, 200);
    });
}
