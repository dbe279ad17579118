import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import {
  ChangePassword,
  LoginRequest,
  LoginResult,
  Me,
  PasswordChanged,
  SignedOut,
} from "@keygate/shared/contracts/auth";
import { TokenSelf } from "@keygate/shared/contracts/tokens";
import type { ServiceTokenRow } from "@keygate/shared/db/service-tokens";
import type { UserRow } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { bearer, jsonAnswer, jsonBody, newApp, personOf, problemResponses } from "../route.ts";
import type { AccessTokens } from "./access-tokens.ts";
import { changePassword } from "./change-password.ts";
import { deviceToken, endSession, isOurDashboard, rememberDevice, sessionToken, startSession } from "./session.ts";
import type { SignIn } from "./sign-in.ts";
import { signOut } from "./sign-out.ts";

const tags = ["Sign-in"];

const login = createRoute({
  method: "post",
  path: "/auth/login",
  tags,
  summary: "Sign in",
  request: { body: jsonBody(LoginRequest) },
  responses: { 200: jsonAnswer(LoginResult, "Signed in"), ...problemResponses(400, 413, 415, 429) },
});

const openSession = createRoute({
  method: "post",
  path: "/auth/session",
  tags,
  summary: "Sign in to the dashboard",
  description: "Sets a cookie instead of answering with a token. Needs `X-Requested-By: keygate-dashboard`.",
  request: { body: jsonBody(LoginRequest) },
  responses: { 200: jsonAnswer(Me, "Signed in"), ...problemResponses(400, 413, 415, 429) },
});

const closeSession = createRoute({
  method: "delete",
  path: "/auth/session",
  tags,
  summary: "Sign out of the dashboard",
  responses: {
    200: jsonAnswer(SignedOut, "The session is over, in every process: a copy of its cookie opens nothing"),
    ...problemResponses(),
  },
});

const me = createRoute({
  method: "get",
  path: "/auth/me",
  tags,
  summary: "Who the token belongs to",
  security: bearer,
  responses: { 200: jsonAnswer(z.union([Me, TokenSelf]), "The user, or the service token"), ...problemResponses() },
});

const password = createRoute({
  method: "post",
  path: "/auth/password",
  tags,
  summary: "Change your password; ends every other session and token of yours",
  security: bearer,
  request: { body: jsonBody(ChangePassword) },
  responses: { 200: jsonAnswer(PasswordChanged, "Changed"), ...problemResponses(400, 413, 415, 429) },
});

const meOf = ({ id, email, role, created_at }: UserRow): z.infer<typeof Me> => ({
  id,
  email,
  role,
  created_at: created_at.toISOString(),
});

const selfOf = ({ id, name, scopes, created_by, expires_at }: ServiceTokenRow): z.infer<typeof TokenSelf> => ({
  id,
  name,
  scopes,
  created_by,
  expires_at: expires_at.toISOString(),
});

/** What each kind of token is issued and verified by. */
export interface Issuers {
  tokens: AccessTokens;
  sessions: AccessTokens;
  devices: AccessTokens;
}

/** Signing in needs no token; mounted in front of the authentication. */
export function loginRoutes(deps: ApiDeps, signIn: SignIn, { tokens, sessions, devices }: Issuers): OpenAPIHono<Env> {
  const refuseOthers = (isOurs: boolean) => {
    // Nobody is signed in, or out, by a page that is not ours.
    if (!isOurs)
      throw new KeyGateError("auth.forbidden", { detail: "The request did not come from KeyGate's own page." });
  };
  return newApp()
    .openapi(login, async (c) => {
      const { email, password: given } = c.req.valid("json");
      const user = await signIn({ email, password: new Secret(given), address: c.var.address, door: "api" });
      return c.json({ access_token: await tokens.issue(user), token_type: "bearer" as const }, 200);
    })
    .openapi(openSession, async (c) => {
      refuseOthers(isOurDashboard(c));
      const { email, password: given } = c.req.valid("json");
      const attempt = { email, password: new Secret(given), address: c.var.address, device: deviceToken(c) };
      const user = await signIn({ ...attempt, door: "dashboard" });
      startSession(c, await sessions.issue(user));
      rememberDevice(c, await devices.issue(user));
      return c.json(meOf(user), 200);
    })
    .openapi(closeSession, async (c) => {
      refuseOthers(isOurDashboard(c));
      await signOut(deps, sessions, { token: sessionToken(c), address: c.var.address });
      endSession(c);
      return c.json({ status: "signed_out" as const }, 200);
    });
}

export function authRoutes(deps: ApiDeps, signIn: SignIn, { sessions, devices }: Issuers): OpenAPIHono<Env> {
  return newApp()
    .openapi(me, (c) => {
      const { principal } = c.var;
      return c.json(principal.kind === "user" ? meOf(principal.user) : selfOf(principal.token), 200);
    })
    .openapi(password, async (c) => {
      const { current_password, new_password } = c.req.valid("json");
      const user = personOf(c);
      const { actor } = c.var;
      const given = { current: new Secret(current_password), next: new Secret(new_password) };
      const changed = await changePassword(deps, signIn, { user, actor, ...given, device: deviceToken(c) });
      // Whoever changed it stays signed in here.
      if (c.req.header("authorization") === undefined) {
        startSession(c, await sessions.issue(changed));
        rememberDevice(c, await devices.issue(changed));
      }
      return c.json({ status: "changed" as const }, 200);
    });
}
