import { writeFileSync } from "node:fs";
import { vendorContracts } from "../contracts/vendors/registry.ts";
import { vendorPage } from "./vendor-page.ts";

// npm run docs:vendors
const page = new URL("../../../docs/vendors.md", import.meta.url);
writeFileSync(page, vendorPage(vendorContracts));
console.log("docs/vendors.md is written.");
