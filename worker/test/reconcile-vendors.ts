import type { KeyRow } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { Secret } from "@keygate/shared/secret";
import type { OpenAiBooks } from "@keygate/simulator/openai-books";
import { z } from "zod";
import { anthropicFixture } from "./fixtures/anthropic.ts";
import { startAzureFixture } from "./fixtures/azure-openai.ts";
import type { RunningFixture } from "./fixtures/fixture.ts";
import { exchangeKeyFile, GoogleBooks, startGoogle } from "./fixtures/google-vertex.ts";
import { openaiFixture } from "./fixtures/openai.ts";

/** What people and vendors do behind KeyGate's back. */
export interface Meddler {
  fixture: RunningFixture;
  /** Something that bears our mark and that nobody asked for. */
  makeLookalike(): Promise<void>;
  deleteKey(key: KeyRow): Promise<void>;
  changeLimit(key: KeyRow): Promise<void>;
  /** Puts it back. */
  restoreLimit(key: KeyRow): Promise<void>;
  /** A key that KeyGate did not make: in what it made, or elsewhere. Null where there can be none. */
  addKey(key: KeyRow | null): Promise<void>;
  /** Null where the vendor has no such thing. */
  disable: ((key: KeyRow) => Promise<void>) | null;
  disabledWords: RegExp;
}

async function send(method: string, url: string, headers: Record<string, string>, body?: unknown): Promise<unknown> {
  const answer = await fetch(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

const refOf = <T extends z.ZodRawShape>(key: KeyRow, shape: T) => z.object(shape).parse(key.vendor_ref);

export async function meddleWithOpenAi(): Promise<Meddler> {
  const fixture = await openaiFixture.start();
  const server = must(fixture.servers[0], "server");
  const base = `${fixture.settings.extra.base_url}/organization`;
  const headers = { authorization: `Bearer ${fixture.settings.adminKey.reveal()}` };
  const ids = (key: KeyRow) => refOf(key, { projectId: z.string(), keyId: z.string() });
  const budget = (key: KeyRow, cents: number) =>
    send("POST", `${base}/projects/${ids(key).projectId}/spend_limit`, headers, {
      threshold_amount: cents,
      currency: "USD",
      interval: "month",
    });
  const defaultProject = () =>
    must(
      (server.books() as OpenAiBooks).projects.find((project) => project.default),
      "default project",
    ).id;
  return {
    fixture,
    makeLookalike: async () =>
      void (await send("POST", `${base}/projects`, headers, { name: "keygate-other-eve-bcdfgh" })),
    deleteKey: async (key) =>
      void (await send("DELETE", `${base}/projects/${ids(key).projectId}/api_keys/${ids(key).keyId}`, headers)),
    changeLimit: async (key) => void (await budget(key, 999_900)),
    restoreLimit: async (key) => void (await budget(key, 5_000)),
    addKey: async (key) =>
      void (await server.control("create_user_key", { project_id: key ? ids(key).projectId : defaultProject() })),
    disable: null,
    disabledWords: /./,
  };
}

export async function meddleWithAnthropic(): Promise<Meddler> {
  const fixture = await anthropicFixture.start();
  const server = must(fixture.servers[0], "server");
  const base = `${fixture.settings.extra.base_url}/organizations`;
  const headers = { "x-api-key": fixture.settings.adminKey.reveal(), "anthropic-version": "2026-10-21" };
  const ids = (key: KeyRow) => refOf(key, { workspaceId: z.string(), keyId: z.string() });
  const status = (key: KeyRow, wanted: string) =>
    send("POST", `${base}/api_keys/${ids(key).keyId}`, headers, { status: wanted });
  async function rate(key: KeyRow, value: number) {
    const Entries = z.object({ data: z.array(z.object({ id: z.string(), group: z.object({ type: z.string() }) })) });
    const { data } = Entries.parse(await send("GET", `${base}/rate_limits`, headers));
    const entry = must(
      data.find(({ group }) => group.type === "model_group"),
      "a rate limit",
    );
    const url = `${base}/workspaces/${ids(key).workspaceId}/rate_limits/${entry.id}`;
    await send("POST", url, headers, { limits: [{ type: "requests_per_minute", value }] });
  }
  return {
    fixture,
    makeLookalike: async () =>
      void (await send("POST", `${base}/workspaces`, headers, {
        name: "keygate-other",
        tags: { keygate: newId("key"), "keygate-job": newId("job") },
      })),
    deleteKey: async (key) => void (await status(key, "archived")),
    changeLimit: (key) => rate(key, 7),
    restoreLimit: (key) => rate(key, 60),
    addKey: async (key) =>
      void (await server.control("create_key", { workspace_id: key ? ids(key).workspaceId : null, name: "by hand" })),
    disable: async (key) => void (await status(key, "inactive")),
    disabledWords: /inactive/,
  };
}

export async function meddleWithAzure(): Promise<Meddler> {
  const fixture = await startAzureFixture();
  const { arm, tokens, credential, place } = fixture.azure;
  arm.mergeSettings({ create_ms: 0, write_ms: 0 });
  const accounts = `/subscriptions/${place.subscriptionId}/resourceGroups/${fixture.settings.extra.resource_group}/providers/Microsoft.CognitiveServices/accounts`;
  const admin = (method: string, path: string, body?: unknown) => {
    const token = tokens.issue(credential, arm.url, arm.now(), 3_600);
    return send(
      method,
      `${arm.url}${accounts}/${path}?api-version=2026-03-01`,
      { authorization: `Bearer ${token}` },
      body,
    );
  };
  const nameOf = (key: KeyRow) => refOf(key, { account: z.object({ name: z.string() }) }).account.name;
  const location = must(String(fixture.settings.extra.location).split(",")[0], "location");
  const body = (tags: Record<string, string>, name: string) => ({
    kind: "OpenAI",
    sku: { name: "S0" },
    location,
    tags,
    properties: { customSubDomainName: name, publicNetworkAccess: "Enabled", disableLocalAuth: false },
  });
  const capacity = async (key: KeyRow, change: (units: number) => number) => {
    const Deployed = z.object({
      value: z.array(z.object({ name: z.string(), sku: z.object({ name: z.string(), capacity: z.number() }) })),
    });
    const { value } = Deployed.parse(await admin("GET", `${nameOf(key)}/deployments`));
    const first = must(value[0], "a deployment");
    const sku = { name: first.sku.name, capacity: change(first.sku.capacity) };
    await admin("PATCH", `${nameOf(key)}/deployments/${first.name}`, { sku });
  };
  return {
    fixture,
    makeLookalike: async () => {
      const tags = { "keygate-instance": "keygate", "keygate-key": newId("key") };
      await admin("PUT", "keygate-other-eve", body(tags, "keygate-other-eve"));
    },
    deleteKey: async (key) => void (await admin("POST", `${nameOf(key)}/regenerateKey`, { keyName: "Key1" })),
    changeLimit: (key) => capacity(key, (units) => units + 1),
    restoreLimit: (key) => capacity(key, (units) => units - 1),
    addKey: async () => void (await admin("PUT", "others-account", body({}, "others-account"))),
    disable: async (key) => void (await arm.control("set_local_auth", { account: nameOf(key), disabled: true })),
    disabledWords: /disableLocalAuth/,
  };
}

export async function meddleWithGoogle(): Promise<Meddler> {
  const google = await startGoogle();
  const scope = "https://www.googleapis.com/auth/cloud-platform";
  const headers = async () => {
    const token = await exchangeKeyFile(
      new Secret(google.settings.adminKey.reveal()),
      scope,
      String(google.settings.extra.token_url),
    );
    return { authorization: `Bearer ${must(token, "token")}` };
  };
  const projectId = String(google.settings.extra.project_id);
  const base = `${google.main.url}/v1/projects/${projectId}/serviceAccounts`;
  const ids = (key: KeyRow) => refOf(key, { email: z.string(), keyId: z.string(), role: z.string() });
  const bindingOf = (key: KeyRow) =>
    must(
      GoogleBooks.parse(google.main.books()).policy.bindings.find(({ members }) =>
        members.includes(`serviceAccount:${ids(key).email}`),
      ),
      "binding",
    );
  let before: z.infer<typeof GoogleBooks>["policy"]["bindings"][number] | undefined;
  return {
    fixture: google,
    makeLookalike: async () =>
      void (await send("POST", base, await headers(), {
        accountId: "keygate-other-eve-bcdfgh",
        serviceAccount: { displayName: "x", description: `keygate-key=${newId("key")}` },
      })),
    deleteKey: async (key) =>
      void (await send("DELETE", `${base}/${ids(key).email}/keys/${ids(key).keyId}`, await headers())),
    // Somebody takes the end off the grant.
    changeLimit: async (key) => {
      before = bindingOf(key);
      const member = `serviceAccount:${ids(key).email}`;
      await google.main.control("edit_policy", {
        remove: { role: ids(key).role, member },
        add: { role: ids(key).role, members: [member] },
      });
    },
    restoreLimit: async (key) => {
      const member = `serviceAccount:${ids(key).email}`;
      await google.main.control("edit_policy", { remove: { role: ids(key).role, member }, add: before });
    },
    addKey: async (key) => {
      if (key) await send("POST", `${base}/${ids(key).email}/keys`, await headers(), {});
    },
    disable: async (key) =>
      void (await google.main.control("expose_key", { email: ids(key).email, key_id: ids(key).keyId })),
    disabledWords: /EXPOSED/,
  };
}
