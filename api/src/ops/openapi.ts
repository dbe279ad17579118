import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Env } from "../env.ts";
import { problemDescriptions } from "../route.ts";
import { scopesFor } from "../tokens/scopes.ts";
import { version } from "../version.ts";

const description = `KeyGate gives each developer a real vendor key of their own, and takes it back.

Sign in with \`POST /api/v1/auth/login\` and send the token as \`Authorization: Bearer …\`. Programs send a **service token**
(\`kg_…\`) instead: each call says which scope it takes.

**Lists** return an array; the next page is in the \`Link\` header. **Errors** are problem details (RFC 9457) whose \`code\`
is stable. **\`Idempotency-Key\`** on any POST makes repeating it safe for 24 hours. **Waiting**: calls that make a job wait
25 s for it unless \`Prefer: wait=N\` or \`Prefer: respond-async\` says otherwise.`;

const tags = [
  ["Sign-in", "Access tokens"],
  ["Users", "Who uses KeyGate itself: owners, admins, auditors"],
  ["Service tokens", "What programs sign in with"],
  ["Vendors", "Admin credentials, and what each vendor enforces"],
  ["Developers", "Who may have keys"],
  ["Members", "The same people, under the name that existing clients use"],
  ["Workspaces", "Groups with limits of their own"],
  ["Keys", "Provision, rotate, revoke"],
  ["Jobs", "What is under way, and taking the key"],
  ["Claims", "For whoever holds a link to a key, without an account"],
  ["Debt", "What the vendors have not let KeyGate take away yet"],
  ["Reconcile", "What stands at the vendors against what KeyGate holds"],
  ["Audit", "Who did what"],
  ["Overview", "Figures"],
  ["Operations", "Health"],
].map(([name = "", text = ""]) => ({ name, description: text }));

type Document = ReturnType<OpenAPIHono<Env>["getOpenAPI31Document"]>;

/** A body of which nothing is needed may be left out; routes cannot say so themselves (see `jsonBody`). */
function markOptionalBodies(document: Document): void {
  for (const item of Object.values(document.paths ?? {})) {
    for (const method of ["post", "put", "patch"] as const) {
      const body = item[method]?.requestBody;
      if (!body || !("content" in body)) continue;
      const schema = body.content["application/json"]?.schema;
      const name = schema && "$ref" in schema ? schema.$ref.split("/").at(-1) : undefined;
      const resolved = name === undefined ? schema : document.components?.schemas?.[name];
      const needed = resolved && "required" in resolved ? (resolved.required ?? []) : [];
      if (needed.length === 0) body.required = false;
    }
  }
}

/**
 * The generator's two slips, put right in what it made: it leaves the flags of a regular expression in its pattern, and
 * writes "this or null" of a named schema as "this and possibly null", which nothing can be.
 */
function repair(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(repair);
  if (typeof value !== "object" || value === null) return value;
  const { allOf, ...rest } = value as Record<string, unknown>;
  const entries = Object.entries(rest).map(([name, member]) => {
    const isPattern = name === "pattern" && typeof member === "string";
    return [name, isPattern ? member.replace(/\$\/[a-z]+$/, "$") : repair(member)];
  });
  const [named, other] = Array.isArray(allOf) ? allOf : [];
  const isNullable = Array.isArray(other?.type) && other.type.includes("null");
  return Object.fromEntries([
    ...entries,
    ...(isNullable ? [["anyOf", [named, { type: "null" }]]] : allOf === undefined ? [] : [["allOf", repair(allOf)]]),
  ]);
}

const idempotencyKey = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "The same key and body within 24 h has one effect and the same answer; secrets are never repeated.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
} as const;
const prefer = {
  name: "Prefer",
  in: "header",
  required: false,
  description: "`wait=N` (seconds, at most 60) or `respond-async`",
  schema: { type: "string" },
} as const;

/** Headers that middleware reads, whatever the route. */
function nameHeaders(document: Document): void {
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const operation of [item.post, item.delete]) {
      if (!operation || path.endsWith("/auth/login")) continue;
      operation.parameters ??= [];
      if (operation === item.post) operation.parameters.push(idempotencyKey);
      if (operation.responses?.["202"]) operation.parameters.push(prefer);
    }
  }
}

/** What middleware may answer in front of any route, so that no route has to remember it. */
function nameCommonAnswers(document: Document): void {
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    if (!path.startsWith("/api/")) continue;
    for (const method of ["get", "post", "put", "patch", "delete"] as const) {
      const operation = item[method];
      if (!operation) continue;
      const isGuarded = operation.security?.some((one) => "bearer" in one);
      const statuses = [
        ...(operation.requestBody ? ([400, 413, 415] as const) : []),
        ...(isGuarded && method === "post" ? ([409] as const) : []),
        ...(path.includes("{") ? ([404] as const) : []),
        422 as const,
      ];
      operation.responses ??= {};
      for (const status of statuses) {
        operation.responses[status] ??= {
          description: problemDescriptions[status],
          content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
        };
      }
    }
  }
}

/** Which scopes a service token needs: any one of them. OpenAPI 3.1 lets every scheme name such roles. */
function nameScopes(document: Document): void {
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const method of ["get", "post", "put", "patch", "delete"] as const) {
      const operation = item[method];
      const isGuarded = operation?.security?.some((one) => "bearer" in one);
      if (!operation || !isGuarded || path.endsWith("/auth/me")) continue;
      const scopes = scopesFor(method.toUpperCase(), path.replace(/^\/api\/v1/, ""));
      const text = scopes
        ? `Service tokens need the scope ${scopes.map((scope) => `\`${scope}\``).join(" or ")}.`
        : "For people only: no service token may do it.";
      operation.description = operation.description ? `${operation.description}\n\n${text}` : text;
    }
  }
}

/** The OpenAPI 3.1 document of an app, from the schemas that validate its requests. */
export function openApiDocument(app: OpenAPIHono<Env>, publicUrl: string | null): Document {
  const made = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "KeyGate",
      version,
      description,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: publicUrl ?? "/" }],
    tags,
  });
  // A repaired document is a document still.
  const document = repair(made) as Document;
  markOptionalBodies(document);
  nameHeaders(document);
  nameScopes(document);
  nameCommonAnswers(document);
  return document;
}
