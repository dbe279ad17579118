import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { ServiceTokenId } from "@keygate/shared/contracts/ids";
import {
  CreatedServiceToken,
  CreateServiceToken,
  RevokeTokenResult,
  ServiceTokenListQuery,
  ServiceTokenView,
} from "@keygate/shared/contracts/tokens";
import { type ServiceTokenRow, serviceTokenRows } from "@keygate/shared/db/service-tokens";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { keepAnswer } from "../middleware/idempotency.ts";
import { bearer, jsonAnswer, jsonBody, newApp, pageLink, personOf, problemResponses } from "../route.ts";
import { createServiceToken, findServiceToken, type NewToken, revokeServiceToken } from "./change-token.ts";

const common = { tags: ["Service tokens"], security: bearer };
const params = z.strictObject({ id: ServiceTokenId });

const list = createRoute({
  ...common,
  method: "get",
  path: "/tokens",
  summary: "Service tokens, newest first; never the token itself",
  request: { query: ServiceTokenListQuery },
  responses: { 200: jsonAnswer(z.array(ServiceTokenView), "A page of tokens"), ...problemResponses() },
});

const create = createRoute({
  ...common,
  method: "post",
  path: "/tokens",
  summary: "Make a service token for a program; the answer holds it, this once",
  description:
    "Sent as `Authorization: Bearer kg_…` like an access token. It may do what its scopes say and nothing else, until it expires, is revoked, or whoever made it is removed.",
  request: { body: jsonBody(CreateServiceToken) },
  responses: { 200: jsonAnswer(CreatedServiceToken, "The token, this once"), ...problemResponses(400, 409, 413, 415) },
});

const read = createRoute({
  ...common,
  method: "get",
  path: "/tokens/{id}",
  summary: "Read a service token's metadata",
  request: { params },
  responses: { 200: jsonAnswer(ServiceTokenView, "The token's metadata"), ...problemResponses(404) },
});

const revoke = createRoute({
  ...common,
  method: "delete",
  path: "/tokens/{id}",
  summary: "Revoke a service token, at once",
  request: { params },
  responses: { 200: jsonAnswer(RevokeTokenResult, "Revoked"), ...problemResponses(404) },
});

/** A service token as the API shows it: everything but the token. */
const tokenView = (row: ServiceTokenRow): ServiceTokenView => ({
  id: row.id,
  name: row.name,
  hint: row.hint,
  scopes: row.scopes,
  status: row.revoked_at ? "revoked" : row.has_expired ? "expired" : "active",
  created_by: row.created_by,
  created_at: row.created_at.toISOString(),
  expires_at: row.expires_at.toISOString(),
  last_used_at: row.last_used_at?.toISOString() ?? null,
  last_used_address: row.last_used_address,
  revoked_at: row.revoked_at?.toISOString() ?? null,
  revoked_by: row.revoked_by,
});

const newTokenView = ({ token, row }: NewToken) => ({ ...tokenView(row), token: token.reveal() });

/** Service tokens: what programs sign in with. */
export function tokenRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(list, async (c) => {
      const { items, next } = await serviceTokenRows(deps.db).list(c.req.valid("query"));
      pageLink(c, next);
      return c.json(items.map(tokenView), 200);
    })
    .openapi(create, async (c) => {
      const by = { actor: c.var.actor, user: personOf(c) };
      const made = await createServiceToken(deps, by, c.req.valid("json"), keepAnswer(c, newTokenView));
      return c.json(newTokenView(made), 200);
    })
    .openapi(read, async (c) => c.json(tokenView(await findServiceToken(deps.db, c.req.valid("param").id)), 200))
    .openapi(revoke, async (c) => {
      const { id } = c.req.valid("param");
      await revokeServiceToken(deps, c.var.actor, id);
      return c.json({ status: "revoked" as const, token_id: id }, 200);
    });
}
