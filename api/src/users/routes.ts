import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { UserId } from "@keygate/shared/contracts/ids";
import {
  CreateUserLink,
  InspectLink,
  InviteUser,
  LinkInfo,
  LinkUsed,
  RemoveUserQuery,
  RemoveUserResult,
  SetUserRole,
  UseLink,
  UserLink,
  UserListQuery,
  UserView,
} from "@keygate/shared/contracts/users";
import type { Db, Tx } from "@keygate/shared/db/client";
import { userRows } from "@keygate/shared/db/users";
import { Secret } from "@keygate/shared/secret";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { keepAnswer } from "../middleware/idempotency.ts";
import { bearer, jsonAnswer, jsonBody, newApp, pageLink, problemResponses, requireRole } from "../route.ts";
import { findUser, removeUser, setUserRole } from "./change-user.ts";
import { createUserLink, inviteUser, type NewLink, welcomeLink } from "./invite-user.ts";
import { inspectLink, useLink } from "./use-link.ts";
import { userView } from "./view.ts";

const common = { tags: ["Users"], security: bearer };
const ownersOnly = { ...common, middleware: requireRole("owner") };
const params = z.strictObject({ id: UserId });

const list = createRoute({
  ...common,
  method: "get",
  path: "/users",
  summary: "Who uses KeyGate itself, newest first",
  request: { query: UserListQuery },
  responses: { 200: jsonAnswer(z.array(UserView), "A page of users"), ...problemResponses() },
});

const read = createRoute({
  ...common,
  method: "get",
  path: "/users/{id}",
  summary: "Read a user",
  request: { params },
  responses: { 200: jsonAnswer(UserView, "The user"), ...problemResponses(404) },
});

const invite = createRoute({
  ...ownersOnly,
  method: "post",
  path: "/users/invite",
  summary: "Invite somebody; the answer holds the link for them, this once",
  description: "For owners. KeyGate sends no mail: hand the link over yourself. It works once, until its time is over.",
  request: { body: jsonBody(InviteUser) },
  responses: { 200: jsonAnswer(UserLink, "Invited"), ...problemResponses(400, 409, 413, 415) },
});

const createLink = createRoute({
  ...ownersOnly,
  method: "post",
  path: "/users/{id}/link",
  summary: "A new one-time link for a user: to join, or to set a new password",
  description: "For owners. Earlier links of the user end. Their password works until the link is used.",
  request: { params, body: jsonBody(CreateUserLink) },
  responses: { 200: jsonAnswer(UserLink, "The link, this once"), ...problemResponses(400, 404, 409, 413, 415) },
});

const setRole = createRoute({
  ...ownersOnly,
  method: "put",
  path: "/users/{id}/role",
  summary: "Set a user's role",
  description: "For owners; the last of them stays one. Who becomes an auditor loses the tokens that change something.",
  request: { params, body: jsonBody(SetUserRole) },
  responses: { 200: jsonAnswer(UserView, "Changed"), ...problemResponses(400, 404, 409, 413, 415) },
});

const remove = createRoute({
  ...ownersOnly,
  method: "delete",
  path: "/users/{id}",
  summary: "Remove a user: sessions, tokens and links of theirs end at once",
  description: "For owners; the last of them stays. The audit log keeps what they did.",
  request: { params, query: RemoveUserQuery },
  responses: { 200: jsonAnswer(RemoveUserResult, "Removed"), ...problemResponses(404, 409) },
});

const inspect = createRoute({
  method: "post",
  path: "/auth/links/inspect",
  tags: ["Sign-in"],
  summary: "Whom a one-time link is for; does not use it up",
  request: { body: jsonBody(InspectLink) },
  responses: { 200: jsonAnswer(LinkInfo, "It works"), ...problemResponses(400, 410, 413, 415) },
});

const use = createRoute({
  method: "post",
  path: "/auth/links/use",
  tags: ["Sign-in"],
  summary: "Set a password by a one-time link; ends every session and token of that user",
  request: { body: jsonBody(UseLink) },
  responses: { 200: jsonAnswer(LinkUsed, "Sign in with it now"), ...problemResponses(400, 410, 413, 415) },
});

/** For whoever holds a link, without an account yet; mounted in front of the authentication. */
export function linkRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(inspect, async (c) => {
      const { link, user } = await inspectLink(deps, new Secret(c.req.valid("json").link_token));
      const { purpose, created_by, expires_at } = link;
      const { email, role } = user;
      return c.json({ purpose, email, role, invited_by: created_by, expires_at: expires_at.toISOString() }, 200);
    })
    .openapi(use, async (c) => {
      const { link_token, new_password } = c.req.valid("json");
      const given = { token: new Secret(link_token), password: new Secret(new_password) };
      const { email } = await useLink(deps, { ...given, ipAddress: c.var.address });
      return c.json({ status: "password_set" as const, email }, 200);
    });
}

/** Users: who may use KeyGate itself, and as what. */
export function userRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  const linkView = async ({ userId, token, row }: NewLink, db: Db | Tx): Promise<UserLink> => ({
    user: userView(await findUser(db, userId)),
    purpose: row.purpose,
    one_time_link: welcomeLink(deps.config.http.publicUrl, token),
    expires_at: row.expires_at.toISOString(),
  });
  return newApp()
    .openapi(list, async (c) => {
      const { items, next } = await userRows(deps.db).list(c.req.valid("query"));
      pageLink(c, next);
      return c.json(items.map(userView), 200);
    })
    .openapi(read, async (c) => c.json(userView(await findUser(deps.db, c.req.valid("param").id)), 200))
    .openapi(invite, async (c) => {
      const link = await inviteUser(deps, c.var.actor, c.req.valid("json"), keepAnswer(c, linkView));
      return c.json(await linkView(link, deps.db), 200);
    })
    .openapi(createLink, async (c) => {
      const { id: userId } = c.req.valid("param");
      const { expires_in_hours: hours } = c.req.valid("json");
      return c.json(await linkView(await createUserLink(deps, c.var.actor, { userId, hours }), deps.db), 200);
    })
    .openapi(setRole, async (c) => {
      const { id } = c.req.valid("param");
      return c.json(userView(await setUserRole(deps, c.var.actor, id, c.req.valid("json").role)), 200);
    })
    .openapi(remove, async (c) => {
      const { id } = c.req.valid("param");
      const keepTokens = c.req.valid("query").keep_tokens;
      const tokensRevoked = await removeUser(deps, c.var.actor, id, { keepTokens });
      return c.json({ status: "removed" as const, user_id: id, tokens_revoked: tokensRevoked }, 200);
    });
}
