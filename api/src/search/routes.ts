import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { SearchQuery, SearchResult } from "@keygate/shared/contracts/search";
import { searchRows } from "@keygate/shared/db/search";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { bearer, jsonAnswer, newApp, problemResponses } from "../route.ts";

const search = createRoute({
  method: "get",
  path: "/search",
  tags: ["Overview"],
  security: bearer,
  summary: "Developers and keys by name, e-mail, hint or project name",
  request: { query: SearchQuery },
  responses: { 200: jsonAnswer(SearchResult, "The newest that fit"), ...problemResponses() },
});

export function searchRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp().openapi(search, async (c) => {
    const { q, limit } = c.req.valid("query");
    const rows = searchRows(deps.db);
    const [developers, keys] = await Promise.all([rows.developers(q, limit), rows.keys(q, limit)]);
    return c.json({ developers, keys }, 200);
  });
}
