import type { DeveloperId, WorkspaceId } from "@keygate/shared/contracts/ids";
import {
  type CreateWorkspace,
  type UpdateWorkspace,
  WorkspaceMemberView,
  WorkspaceView,
} from "@keygate/shared/contracts/workspaces";
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { apiGet, apiList, apiSend } from "../lib/api.ts";

export const workspacesQuery = (includeArchived = false) =>
  queryOptions({
    queryKey: ["workspaces", "list", includeArchived],
    queryFn: ({ signal }) =>
      apiList("/workspaces", WorkspaceView, { signal, query: { include_archived: includeArchived, limit: 500 } }),
  });

export const workspaceQuery = (id: WorkspaceId) =>
  queryOptions({
    queryKey: ["workspaces", id],
    queryFn: ({ signal }) => apiGet(`/workspaces/${id}`, WorkspaceView, { signal }),
  });

export const membersQuery = (id: WorkspaceId) =>
  queryOptions({
    queryKey: ["workspaces", id, "members"],
    queryFn: ({ signal }) => apiGet(`/workspaces/${id}/members`, WorkspaceMemberView.array(), { signal }),
  });

export const createWorkspace = (body: z.input<typeof CreateWorkspace>) =>
  apiSend("/workspaces", WorkspaceView, { method: "POST", body });
export const changeWorkspace = (id: WorkspaceId, body: z.input<typeof UpdateWorkspace>) =>
  apiSend(`/workspaces/${id}`, WorkspaceView, { method: "PUT", body });
export const archiveWorkspace = (id: WorkspaceId) =>
  apiSend(`/workspaces/${id}/archive`, WorkspaceView, { method: "POST", body: {} });
export const addMember = (id: WorkspaceId, developerId: DeveloperId, role: string) =>
  apiSend(`/workspaces/${id}/members`, WorkspaceMemberView, {
    method: "POST",
    body: { developer_id: developerId, role },
  });
export const removeMember = (id: WorkspaceId, developerId: DeveloperId) =>
  apiSend(`/workspaces/${id}/members/${developerId}`, z.object({ status: z.literal("removed") }), { method: "DELETE" });
