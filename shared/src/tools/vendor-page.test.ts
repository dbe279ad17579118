import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { limitNames } from "../contracts/limits.ts";
import { vendorContracts } from "../contracts/vendors/registry.ts";
import type { VendorContract } from "../contracts/vendors/vendor-contract.ts";
import { vendorPage } from "./vendor-page.ts";

const docs = new URL("../../../docs/", import.meta.url);
const page = readFileSync(new URL("vendors.md", docs), "utf8");

describe("docs/vendors.md", () => {
  it("is what the vendors' data sheets say now (npm run docs:vendors writes it)", () => {
    expect(page).toBe(vendorPage(vendorContracts));
  });

  it("leads to a page about each vendor", () => {
    for (const [, path = ""] of page.matchAll(/\]\(([^)#]+)\)/g)) {
      expect(existsSync(new URL(path, docs)), path).toBe(true);
    }
  });

  it("says of each limit of each vendor who enforces it, how late, and the fine print", () => {
    for (const { limits, title } of Object.values<VendorContract>(vendorContracts)) {
      for (const name of limitNames) {
        expect(page, `${title}: ${name}`).toContain(`| ${limits[name].delay} | ${limits[name].finePrint} |`);
      }
    }
  });

  it("names every setting and every environment variable that configures a vendor", () => {
    for (const { settings, environment } of Object.values<VendorContract>(vendorContracts)) {
      const variables = [
        environment.adminKey.variable,
        environment.orgId ?? [],
        Object.values(environment.extra),
      ].flat();
      for (const name of [...variables, ...Object.keys(settings).map((each) => `extra_config.${each}`)]) {
        expect(page).toContain(`\`${name}\``);
      }
    }
  });
});
