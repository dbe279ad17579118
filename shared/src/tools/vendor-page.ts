import { KeyId } from "../contracts/ids.ts";
import { type Enforcer, limitNames } from "../contracts/limits.ts";
import type { VendorContract } from "../contracts/vendors/vendor-contract.ts";
import { projectNameFor } from "../naming.ts";

const enforcers: Record<Enforcer, string> = {
  vendor: "the vendor",
  keygate: "KeyGate",
  declared: "**declared**: a person sets it, nobody checks",
  none: "**nobody**",
};
const limitWords = { budget: "budget", rate_limit: "requests per minute", models: "models", expiry: "expiry" } as const;
const charsets: Record<VendorContract["naming"]["charset"], string> = {
  "lower-alnum-dash": "lower-case letters, digits and dashes",
};

const ada = { team: "engines", name: "Ada Lovelace", email: "ada@acme.test" };
const exampleKey = KeyId.parse("key-0192f0a1-7c3e-7b6a-9d53-2f6c0a4e8b11");

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");
const code = (text: string) => `\`${text}\``;

function limitsTable({ limits }: VendorContract): string {
  const rows = limitNames.map((name) => {
    const { enforcedBy, delay, finePrint } = limits[name];
    return [limitWords[name], enforcers[enforcedBy], delay, finePrint];
  });
  return table(["limit", "enforced by", "how late", "fine print"], rows);
}

function settingsTable({ adminKey, environment, settings }: VendorContract): string {
  const { adminKey: credential, orgId, extra, required = [] } = environment;
  const variable = code(credential.variable) + (credential.isFile ? " (names the file)" : "");
  const rows = [
    [code("admin_api_key"), variable, `${adminKey.label}. ${adminKey.help}`],
    ...(orgId ? [[code("org_id"), code(orgId), needed(required.includes(orgId), "The organization's id.")]] : []),
    ...Object.entries(settings).map(([name, setting]) => [
      code(`extra_config.${name}`),
      extra[name] ? code(extra[name]) : "",
      needed(
        setting.required,
        `${setting.label}. ${setting.help}${setting.secret ? " Encrypted, never shown again." : ""}`,
      ),
    ]),
  ];
  return table(["setting", "environment", "meaning"], rows);
}

const needed = (isRequired: boolean, text: string) => (isRequired ? `**Required.** ${text}` : text);

function environmentNotes({ environment }: VendorContract): string {
  const { adminKey, required, ambient } = environment;
  const list = (names: readonly string[]) => names.map(code).join(", ");
  return [
    ...(required ? [`With ${code(adminKey.variable)} these have to be set: ${list(required)}.`] : []),
    ...(ambient ? [`Without it the machine's own identity is used, where these are set: ${list(ambient)}.`] : []),
  ].join(" ");
}

function namingOf({ naming, expiryDaysMax, suggestedModels }: VendorContract): string {
  return [
    `- **Names** of what KeyGate makes there: ${charsets[naming.charset]}, at most ${naming.maxLength} characters, like ${code(projectNameFor(naming, ada, exampleKey, 0))}.`,
    `- **Longest life of a key**: ${expiryDaysMax === null ? "the vendor has no say" : `${expiryDaysMax} days`}.`,
    `- **Models offered in forms**: ${suggestedModels.map(code).join(", ")}. The vendor decides what really exists.`,
  ].join("\n");
}

function sectionOf([id, contract]: [string, VendorContract]): string {
  const page = `vendors/${id.replaceAll("_", "-")}.md`;
  const notes = environmentNotes(contract);
  return [
    `## ${contract.title}`,
    `${code(id)}. How to get the credential, the exact permissions and what happens step by step: [${page}](${page}).`,
    "### Limits, and who enforces them",
    limitsTable(contract),
    "### Settings",
    settingsTable(contract),
    ...(notes ? [notes] : []),
    "### Names, life, models",
    namingOf(contract),
  ].join("\n\n");
}

/** The page about all vendors, from the same data that reports, forms and configuration are made from. */
export function vendorPage(contracts: Readonly<Record<string, VendorContract>>): string {
  const intro = [
    "<!-- Written by `npm run docs:vendors` from shared/src/contracts/vendors/. Change it there. -->",
    "# Vendors",
    "What each vendor can do about a key's limits, and what to configure. `GET /api/v1/vendors` tells the same, and `GET /api/v1/keys/{id}` what became of it for one key.",
    "Where it says **nobody**, the number is a note between you and the developer. A new vendor is described in [adding a vendor](adding-a-vendor.md).",
  ];
  return `${[...intro, ...Object.entries(contracts).map(sectionOf)].join("\n\n")}\n`;
}
