import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import {
  CheckReport,
  ConfigureResult,
  ConfigureVendor,
  RemoveVendorResult,
  VendorView,
} from "@keygate/shared/contracts/vendors";
import { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { bearer, jsonAnswer, jsonBody, newApp, problemResponses } from "../route.ts";
import { checkVendor } from "./check-vendor.ts";
import { configureVendor } from "./configure-vendor.ts";
import { removeVendor } from "./remove-vendor.ts";
import { vendorView } from "./view.ts";

const common = { tags: ["Vendors"], security: bearer };
const params = z.strictObject({ vendor: VendorId });

const configure = createRoute({
  ...common,
  method: "post",
  path: "/vendors/configure",
  summary: "Store a vendor's admin credential, encrypted, and try it",
  request: { body: jsonBody(ConfigureVendor) },
  responses: {
    200: jsonAnswer(ConfigureResult, "Stored; `check` says what trying it found"),
    ...problemResponses(400, 413, 415),
  },
});

const list = createRoute({
  ...common,
  method: "get",
  path: "/vendors",
  summary: "List the configured vendors",
  responses: { 200: jsonAnswer(z.array(VendorView), "The vendors"), ...problemResponses() },
});

const check = createRoute({
  ...common,
  method: "post",
  path: "/vendors/{vendor}/check",
  summary: "Try a vendor's credential now",
  request: { params, body: jsonBody(z.strictObject({})) },
  responses: { 200: jsonAnswer(CheckReport, "What was found"), ...problemResponses(404) },
});

const remove = createRoute({
  ...common,
  method: "delete",
  path: "/vendors/{vendor}",
  summary: "Remove a vendor's credential",
  request: {
    params,
    query: z.strictObject({
      force: z
        .enum(["", "true", "1", "false", "0"])
        .optional()
        .meta({ description: "Also while it has live keys, which are then left behind" }),
    }),
  },
  responses: { 200: jsonAnswer(RemoveVendorResult, "Removed"), ...problemResponses(404, 409) },
});

export function vendorRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(configure, async (c) => {
      const input = c.req.valid("json");
      const report = await configureVendor(deps, c.var.actor, input, c.req.raw.signal);
      return c.json({ status: "ok" as const, vendor: input.vendor, check: report }, 200);
    })
    .openapi(list, async (c) => {
      const [rows, active, throttled] = await Promise.all([
        vendorConfigRows(deps.db).list(),
        keyRows(deps.db).countActiveByVendor(),
        jobRows(deps.db).throttledByVendor(),
      ]);
      return c.json(
        rows.map((row) => vendorView(row, active.get(row.vendor) ?? 0, throttled.get(row.vendor))),
        200,
      );
    })
    .openapi(check, async (c) => {
      const { vendor } = c.req.valid("param");
      return c.json(await checkVendor(deps, c.var.actor, vendor, c.req.raw.signal), 200);
    })
    .openapi(remove, async (c) => {
      const { vendor } = c.req.valid("param");
      const { force } = c.req.valid("query");
      const isForced = force !== undefined && force !== "false" && force !== "0";
      const keysLeft = await removeVendor(deps, c.var.actor, vendor, isForced);
      return c.json({ status: "removed" as const, vendor, keys_left: keysLeft }, 200);
    });
}
