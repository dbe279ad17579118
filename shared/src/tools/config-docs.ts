/** `npm run docs:config`: writes docs/configuration.md from the configuration's schema. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { configurationPage } from "../config-guide.ts";

writeFileSync(join(import.meta.dirname, "../../../docs/configuration.md"), configurationPage());
