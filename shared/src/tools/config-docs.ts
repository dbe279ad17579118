/** `npm run docs:config`: writes docs/configuration.md and the names that the chart takes, from the configuration's schema. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chartConfigPattern, configurationPage } from "../config-guide.ts";

const root = join(import.meta.dirname, "../../..");
writeFileSync(join(root, "docs/configuration.md"), configurationPage());

const schema = join(root, "deploy/helm/keygate/values.schema.json");
const named = JSON.stringify(chartConfigPattern());
const text = readFileSync(schema, "utf8");
writeFileSync(
  schema,
  text.replace(/("propertyNames": \{\s*"pattern": )"[^"]*"/, (_whole, before: string) => `${before}${named}`),
);
