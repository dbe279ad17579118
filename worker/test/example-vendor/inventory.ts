import { differs, type Inventory, type Listed, type SeenKey } from "../../src/vendors/inventory.ts";
import type { AcmeClient, AcmeKey, AcmeProject } from "./client.ts";

/** The shape of the names that KeyGate gives. Acme has no tags: whether a name is really ours, the rows tell. */
const ourTitle = /^keygate-[a-z0-9-]+-[b-df-hj-km-np-tv-xz2-9]{6}$/;

const listedOf = ({ name, title, monthly_budget_cents }: AcmeProject): Listed => ({
  id: name,
  what: "project",
  name: title,
  mark: ourTitle.test(title) ? { keyId: null } : null,
  state: "live",
  ref: { project: name },
  facts: { budgetCents: monthly_budget_cents },
});

const seenKeyOf = (project: string, { name, title, hint, expires_at }: AcmeKey): SeenKey => ({
  id: name,
  name: title,
  hint,
  expiresAt: expires_at,
  disabled: null,
  ref: { project, keyId: name },
});

const textOr = (value: unknown) => (typeof value === "string" ? value : null);

/** Acme's projects with their keys, for reconcile. */
export const inventory: Inventory<AcmeClient> = {
  callsPerMinute: 10,
  async list({ client }, at) {
    const { items, next } = await client.projectsPage(at);
    return { items: items.map(listedOf), next };
  },
  async find({ client, once }, { project }) {
    if (typeof project !== "string") return null;
    const found = await once("project", () => client.getProject(project));
    return found && listedOf(found);
  },
  async look({ client, once }, item) {
    const keys = await once("keys", async () => (await client.listKeys(item.id)) ?? []);
    return {
      item,
      keys: keys.map((key) => seenKeyOf(item.id, key)),
      disabled: null,
      limits: { budgetCents: item.facts?.budgetCents ?? null },
    };
  },
  containerOf: ({ project }) => textOr(project),
  keyOf: ({ keyId }) => textOr(keyId),
  driftOf: ({ limits }, { budgetCents }) => differs("budget", budgetCents, limits.budgetCents),
  adopt: (_item, key) => ({ vendorRef: key.ref }),
  refusesRemoval: () => null,
};
