import { differs, type Inventory, ifAllowed, type Listed, type SeenKey } from "../inventory.ts";
import { isArchived, type OpenAiApiKey, type OpenAiClient, type OpenAiProject } from "./client.ts";
import type { OpenAiState } from "./provision.ts";

/** The shape of the names that KeyGate gives. Projects have no tags: whether a name is really ours, the rows tell. */
const ourName = /^keygate-[a-z0-9-]+-[b-df-hj-km-np-tv-xz2-9]{6}$/;

function listedOf(project: OpenAiProject): Listed {
  const { id, name } = project;
  return {
    id,
    what: "project",
    name: name ?? id,
    mark: name && ourName.test(name) ? { keyId: null } : null,
    state: isArchived(project) ? "gone" : "live",
    ref: { projectId: id },
  };
}

const iso = (seconds: number | null | undefined) =>
  typeof seconds === "number" ? new Date(seconds * 1000).toISOString() : null;

function seenKeyOf(projectId: string, { id, name, redacted_value, expires_at, owner }: OpenAiApiKey): SeenKey {
  const serviceAccountId = owner?.service_account?.id;
  return {
    id,
    name: name ?? null,
    hint: redacted_value ?? null,
    expiresAt: iso(expires_at),
    disabled: null,
    ...(expires_at && expires_at * 1000 <= Date.now() ? { isOver: true as const } : {}),
    note: serviceAccountId ? "It belongs to a service account." : "It belongs to a person.",
    ref: { projectId, ...(serviceAccountId ? { serviceAccountId } : {}), keyId: id },
  };
}

const byModel = (rates: readonly { model: string; rpm: number | null }[]) =>
  Object.fromEntries(rates.map(({ model, rpm }) => [model, rpm]));

/** OpenAI's projects with their keys, and what limits those that are ours. */
export const inventory: Inventory<OpenAiClient> = {
  // 7 to 10 a minute were measured before OpenAI throttles; a person's request finds more than half of that free.
  callsPerMinute: 3,
  async list({ client }, at) {
    const { projects, next } = await client.projectsPage(at);
    return { items: projects.map(listedOf), next };
  },
  async find({ client, once }, { projectId }) {
    if (typeof projectId !== "string") return null;
    const project = await once("project", () => client.getProject(projectId));
    return project && listedOf(project);
  },
  async look({ client, once }, item) {
    const seen = { item, keys: [] as SeenKey[], disabled: null, limits: {} as Record<string, unknown> };
    if (item.state !== "live") return seen;
    // A project that was archived meanwhile has none.
    const keys = await once("keys", async () =>
      ((await client.listApiKeys(item.id)) ?? []).map((key) => seenKeyOf(item.id, key)),
    );
    seen.keys = keys;
    if (!item.mark) return seen;
    const spend = await once("spend", () => ifAllowed(client.getSpendLimit(item.id)));
    const models = await once("models", () => ifAllowed(client.getModelPermissions(item.id)));
    const rates = await once("rates", () =>
      ifAllowed(
        client
          .listRateLimits(item.id)
          .then((rows) => rows.map((row) => ({ model: row.model, rpm: row.max_requests_per_1_minute ?? null }))),
      ),
    );
    if (spend) seen.limits.spendLimitCents = spend.value;
    if (models) seen.limits.modelsAllowed = models.value?.mode === "allow_list" ? models.value.model_ids.sort() : null;
    if (rates) seen.limits.rates = byModel(rates.value);
    return seen;
  },
  containerOf: ({ projectId }) => (typeof projectId === "string" ? projectId : null),
  keyOf: ({ keyId }) => (typeof keyId === "string" ? keyId : null),
  driftOf({ limits }, ref) {
    const { spendLimitCents, modelsAllowed, rateLimits } = ref as OpenAiState;
    const inForce = limits.rates as Record<string, number | null> | undefined;
    const changed = inForce
      ? (rateLimits ?? []).filter(({ model, requestsPerMinute }) => inForce[model] !== requestsPerMinute)
      : [];
    return [
      ...("spendLimitCents" in limits ? differs("budget", spendLimitCents, limits.spendLimitCents) : []),
      ...("modelsAllowed" in limits ? differs("models", modelsAllowed?.toSorted(), limits.modelsAllowed) : []),
      ...(changed.length > 0
        ? differs(
            "rate_limit",
            byModel(changed.map(({ model, requestsPerMinute }) => ({ model, rpm: requestsPerMinute }))),
            byModel(changed.map(({ model }) => ({ model, rpm: inForce?.[model] ?? null }))),
          )
        : []),
    ];
  },
  adopt: (_item, key) => ({ vendorRef: key.ref }),
  refusesRemoval: () => null,
};
