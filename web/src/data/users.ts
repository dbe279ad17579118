import type { UserRole } from "@keygate/shared/contracts/auth";
import type { UserId } from "@keygate/shared/contracts/ids";
import {
  type InviteUser,
  LinkInfo,
  LinkUsed,
  RemoveUserResult,
  UserLink,
  UserView,
} from "@keygate/shared/contracts/users";
import { queryOptions } from "@tanstack/react-query";
import type { z } from "zod";
import { apiGet, apiList, apiSend } from "../lib/api.ts";

export const usersQuery = queryOptions({
  queryKey: ["users"],
  queryFn: ({ signal }) => apiList("/users", UserView, { signal, query: { limit: 500 } }),
});

export const inviteUser = (body: z.input<typeof InviteUser>) =>
  apiSend("/users/invite", UserLink, { method: "POST", body });
export const createUserLink = (id: UserId) => apiSend(`/users/${id}/link`, UserLink, { method: "POST", body: {} });
export const setUserRole = (id: UserId, role: UserRole) =>
  apiSend(`/users/${id}/role`, UserView, { method: "PUT", body: { role } });
export const removeUser = (id: UserId, keepTokens: boolean) =>
  apiSend(`/users/${id}`, RemoveUserResult, { method: "DELETE", query: { keep_tokens: keepTokens } });

/** Whom a link is for. The token travels in the body: an address would end up in logs. */
export const linkQuery = (token: string) =>
  queryOptions({
    queryKey: ["link", token],
    queryFn: ({ signal }) =>
      apiGet("/auth/links/inspect", LinkInfo, { method: "POST", body: { link_token: token }, signal, isPublic: true }),
    retry: false,
    gcTime: 0,
  });

export const setPasswordByLink = (token: string, newPassword: string) =>
  apiSend("/auth/links/use", LinkUsed, {
    method: "POST",
    body: { link_token: token, new_password: newPassword },
    isPublic: true,
  });
