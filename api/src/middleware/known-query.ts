import { KeyGateError } from "@keygate/shared/errors";
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { Env } from "../env.ts";

interface Described {
  paths?: Record<string, object>;
}

const isQuery = (one: unknown): one is { name: string } =>
  typeof one === "object" && one !== null && "in" in one && one.in === "query" && "name" in one;

/** The query parameters of every operation, under its method and Hono's spelling of its path. */
function parametersOf(document: Described): Map<string, ReadonlySet<string>> {
  const entries = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => {
      const { parameters = [] } = operation as { parameters?: readonly unknown[] };
      const names = parameters.filter(isQuery).map(({ name }) => name);
      return [`${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`, new Set(names)] as const;
    }),
  );
  return new Map(entries);
}

/**
 * Refuses query parameters that the operation does not have, for every operation alike: a filter with a slip in its
 * name would otherwise show, or revoke, more than was meant.
 *
 * @param describe makes the API's own document; called once, when first needed.
 */
export function knownQuery(describe: () => Described): MiddlewareHandler<Env> {
  let known: Map<string, ReadonlySet<string>> | undefined;
  return async (c, next) => {
    const given = Object.keys(c.req.queries());
    if (given.length === 0) return next();
    known ??= parametersOf(describe());
    const method = c.req.method === "HEAD" ? "GET" : c.req.method;
    for (const { path } of matchedRoutes(c)) {
      const names = known.get(`${method} ${path}`);
      if (!names) continue;
      const errors = given
        .filter((name) => !names.has(name))
        .map((field) => ({ field, message: "Unknown query parameter" }));
      if (errors.length > 0) throw new KeyGateError("request.invalid", { errors });
      break;
    }
    return next();
  };
}
