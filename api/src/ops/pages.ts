import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { serveStatic } from "@hono/node-server/serve-static";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { html, raw } from "hono/html";
import type { Env } from "../env.ts";
import { contentSecurityPolicy } from "../middleware/security-headers.ts";

const folderOf = (name: string) => dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
const swaggerUi = folderOf("swagger-ui-dist");
const redoc = join(folderOf("redoc"), "bundles");
const webDist = join(import.meta.dirname, "../../../web/dist");

// Both viewers style elements from their scripts, and Redoc searches in a worker that it makes from a blob.
const viewerPolicy = contentSecurityPolicy({
  "style-src": "'self' 'unsafe-inline'",
  "img-src": "'self' data:",
  "worker-src": "'self' blob:",
});

const swaggerInit = `window.ui = SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, tryItOutEnabled: true,
});
`;

const page = (title: string, head: string, body: string) => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${raw(head)}
</head>
<body>
${raw(body)}
</body>
</html>
`;

// Relative addresses, so that the pages also work below a path of a reverse proxy.
const swaggerPage = page(
  "KeyGate API",
  `<link rel="stylesheet" href="docs/assets/swagger-ui.css"><link rel="icon" href="docs/assets/favicon-32x32.png">`,
  `<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script><script src="docs/assets/init.js"></script>`,
);
const redocPage = page(
  "KeyGate API reference",
  `<link rel="icon" href="docs/assets/favicon-32x32.png">`,
  `<redoc spec-url="openapi.json"></redoc><script src="redoc/assets/redoc.standalone.js"></script>`,
);
const homePage = page(
  "KeyGate",
  `<style>body{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}</style>`,
  `<h1>KeyGate</h1>
<p>The API is running. The dashboard is not part of this build.</p>
<ul><li><a href="docs">API explorer</a></li><li><a href="redoc">API reference</a></li>
<li><a href="queues">Queues</a> (sign in as an admin)</li></ul>`,
);

const policy =
  (value: string): MiddlewareHandler<Env> =>
  async (c, next) => {
    c.header("Content-Security-Policy", value);
    await next();
  };

const asset = (path: string) =>
  serveStatic<Env>({ path, onFound: (_path, c) => c.header("Cache-Control", "public, max-age=3600") });

/** Swagger UI and Redoc, from their npm packages: nothing is loaded from elsewhere. */
export function documentationPages(): Hono<Env> {
  const app = new Hono<Env>();
  app.get("/docs", policy(viewerPolicy), (c) => c.html(swaggerPage));
  app.get("/docs/assets/init.js", (c) => c.body(swaggerInit, 200, { "Content-Type": "text/javascript" }));
  for (const name of ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"]) {
    app.get(`/docs/assets/${name}`, asset(join(swaggerUi, name)));
  }
  app.get("/redoc", policy(viewerPolicy), (c) => c.html(redocPage));
  app.get("/redoc/assets/redoc.standalone.js", asset(join(redoc, "redoc.standalone.js")));
  return app;
}

/**
 * The dashboard as `web/dist` has it, every unknown page of it being the one that its router shows; a few links when it
 * was not built.
 */
export function dashboardPages(dist: string = webDist): Hono<Env> {
  const app = new Hono<Env>();
  const webPolicy = contentSecurityPolicy({ "style-src": "'self' 'unsafe-inline'", "img-src": "'self' data:" });
  if (!existsSync(join(dist, "index.html"))) {
    return app.get("/", policy(webPolicy), (c) => c.html(homePage));
  }
  // Vite puts a hash of the content into the names below assets/; everything else may be another file tomorrow.
  const onFound = (path: string, c: Context<Env>) =>
    c.header("Cache-Control", path.includes("/assets/") ? "public, max-age=31536000, immutable" : "no-cache");
  const index = serveStatic<Env>({ path: join(dist, "index.html"), onFound });
  // `use`, not `get`: what is not a page of the dashboard must go on to be a 404 or a 405.
  app.use("*", policy(webPolicy), serveStatic<Env>({ root: dist, onFound, precompressed: true }), (c, next) => {
    const isRead = c.req.method === "GET" || c.req.method === "HEAD";
    const isPage = isRead && !c.req.path.startsWith("/api/") && !/\.\w+$/.test(c.req.path);
    return isPage ? index(c, next) : next();
  });
  return app;
}
