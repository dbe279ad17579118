import type { OpenAPIHono } from "@hono/zod-openapi";
import { methodNotAllowed } from "hono/method-not-allowed";
import { auditRoutes } from "./audit/routes.ts";
import { accessTokens } from "./auth/access-tokens.ts";
import { authRoutes, loginRoutes } from "./auth/routes.ts";
import { deviceMinutes, sessionMinutes } from "./auth/session.ts";
import { createSignIn } from "./auth/sign-in.ts";
import { claimRoutes } from "./claims/routes.ts";
import { debtRoutes } from "./debt/routes.ts";
import type { ApiDeps } from "./deps.ts";
import { developerRoutes } from "./developers/routes.ts";
import type { Env } from "./env.ts";
import { jobRoutes } from "./jobs/routes.ts";
import { keyRoutes } from "./keys/routes.ts";
import { memberRoutes } from "./members/routes.ts";
import { authenticate } from "./middleware/authenticate.ts";
import { authorize } from "./middleware/authorize.ts";
import { checkQuery, readBody } from "./middleware/body.ts";
import { clientAddress } from "./middleware/client-address.ts";
import { crossOrigin } from "./middleware/cors.ts";
import { idempotency } from "./middleware/idempotency.ts";
import { knownHost } from "./middleware/known-host.ts";
import { knownQuery } from "./middleware/known-query.ts";
import { onError, onMethodNotAllowed, onNotFound } from "./middleware/problem.ts";
import { requestId } from "./middleware/request-id.ts";
import { securityHeaders } from "./middleware/security-headers.ts";
import { traceRequests } from "./middleware/trace-requests.ts";
import { measureRequests } from "./ops/metrics.ts";
import { openApiDocument } from "./ops/openapi.ts";
import { dashboardPages, documentationPages } from "./ops/pages.ts";
import { queueBoard } from "./ops/queue-board.ts";
import { opsRoutes } from "./ops/routes.ts";
import { reconcileRoutes } from "./reconcile/routes.ts";
import { newApp } from "./route.ts";
import { searchRoutes } from "./search/routes.ts";
import { statsRoutes } from "./stats/routes.ts";
import { tokenRoutes } from "./tokens/routes.ts";
import { linkRoutes, userRoutes } from "./users/routes.ts";
import { vendorRoutes } from "./vendors/routes.ts";
import { workspaceMemberRoutes } from "./workspaces/member-routes.ts";
import { workspaceRoutes } from "./workspaces/routes.ts";

const api = "/api/v1";
const boardSessionMinutes = 60;

const routesBehindSignIn = [
  vendorRoutes,
  developerRoutes,
  memberRoutes,
  workspaceRoutes,
  workspaceMemberRoutes,
  keyRoutes,
  jobRoutes,
  debtRoutes,
  reconcileRoutes,
  auditRoutes,
  statsRoutes,
  searchRoutes,
  userRoutes,
  tokenRoutes,
] as const;

/** The whole HTTP API with its documentation, health, and queue board. */
export function createApp(deps: ApiDeps): OpenAPIHono<Env> {
  const { config, clock } = deps;
  const { secretKey } = config;
  const tokens = accessTokens({ secretKey, audience: "keygate-api", ttlMinutes: config.accessTokenTtlMinutes, clock });
  const sessions = accessTokens({ secretKey, audience: "keygate-dashboard", ttlMinutes: sessionMinutes, clock });
  const devices = accessTokens({ secretKey, audience: "keygate-device", ttlMinutes: deviceMinutes, clock });
  const issuers = { tokens, sessions, devices };
  const signIn = createSignIn(deps, devices);
  const boardTokens = accessTokens({ secretKey, audience: "keygate-queues", ttlMinutes: boardSessionMinutes, clock });

  const app = newApp();
  app.onError(onError);
  app.notFound(onNotFound);
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
  });

  app.use(`${api}/*`, traceRequests());
  app.use(measureRequests(), requestId(deps.log), clientAddress(config.http.trustedProxies));
  app.use(...securityHeaders(config.http.publicUrl), knownHost(config.http));
  app.use("/api/*", crossOrigin(config.http.corsOrigins));
  app.use(methodNotAllowed({ app, onMethodNotAllowed }), checkQuery());

  app.route("/", opsRoutes(deps));
  app.route("/", documentationPages());
  app.route("/", queueBoard(deps.queues, { deps, signIn, sessions, tokens: boardTokens }));
  let document: ReturnType<typeof openApiDocument> | undefined;
  const describe = () => (document ??= openApiDocument(app, config.http.publicUrl));
  app.get("/openapi.json", (c) => c.json(describe()));

  for (const path of ["/auth/login", "/auth/session", "/auth/links/*", "/claims/*"])
    app.use(`${api}${path}`, knownQuery(describe), readBody());
  app.route(api, loginRoutes(deps, signIn, issuers));
  app.route(api, linkRoutes(deps));
  app.route(api, claimRoutes(deps));
  app.use(`${api}/*`, authenticate(deps, tokens, sessions), authorize(deps), knownQuery(describe));
  app.use(`${api}/*`, readBody(), idempotency(deps));
  app.route(api, authRoutes(deps, signIn, issuers));
  for (const routes of routesBehindSignIn) app.route(api, routes(deps));

  app.route("/", dashboardPages());
  return app;
}
