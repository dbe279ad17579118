import { Agent, request } from "undici";

/** What stands for a key at the vendor. */
export interface MadeKey {
  projectId: string;
  keyId: string;
  accountId: string;
}

/** The calls that KeyGate makes at OpenAI, made by nobody but undici: the limit of what can be reached. */
export interface DirectVendor {
  provision(index: number): Promise<MadeKey>;
  /** A project with an account and a key in it, and nothing more. */
  makeKey(name: string): Promise<MadeKey>;
  revoke(made: MadeKey): Promise<void>;
  close(): Promise<void>;
}

export function openDirectVendor(url: string, adminKey: string): DirectVendor {
  const agent = new Agent({ connections: 128 });
  const headers = {
    authorization: `Bearer ${adminKey}`,
    "content-type": "application/json",
    accept: "application/json",
  };
  async function call(method: "GET" | "POST" | "DELETE", path: string, body?: unknown, also: readonly number[] = []) {
    const answer = await request(`${url}/v1/organization${path}`, {
      method,
      dispatcher: agent,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const value = (await answer.body.json()) as Record<string, unknown>;
    const isFine = answer.statusCode === 200 || also.includes(answer.statusCode);
    if (!isFine) throw new Error(`${method} ${path} answered ${answer.statusCode}: ${JSON.stringify(value)}`);
    return value;
  }
  return {
    async provision(index) {
      const name = `direct-${index}`;
      const projectId = String((await call("POST", "/projects", { name })).id);
      const project = `/projects/${projectId}`;
      await call("POST", `${project}/spend_limit`, { threshold_amount: 5_000, currency: "USD", interval: "month" });
      await call("POST", `${project}/model_permissions`, { mode: "allow_list", model_ids: ["gpt-5-mini"] });
      const limits = await call("GET", `${project}/rate_limits?limit=100`);
      const [limit] = limits.data as { id: string }[];
      await call("POST", `${project}/rate_limits/${limit?.id}`, { max_requests_per_1_minute: 60 });
      const account = await call("POST", `${project}/service_accounts`, { name, expires_in_seconds: 7_776_000 });
      const keyId = (account.api_key as { id: string }).id;
      await call("GET", `${project}/api_keys/${keyId}`);
      return { projectId, keyId, accountId: String(account.id) };
    },
    async makeKey(name) {
      const projectId = String((await call("POST", "/projects", { name })).id);
      const account = await call("POST", `/projects/${projectId}/service_accounts`, { name });
      return { projectId, keyId: (account.api_key as { id: string }).id, accountId: String(account.id) };
    },
    async revoke({ projectId, keyId, accountId }) {
      const project = `/projects/${projectId}`;
      await call("DELETE", `${project}/api_keys/${keyId}`);
      await call("DELETE", `${project}/service_accounts/${accountId}`);
      await call("GET", `${project}/api_keys/${keyId}`, undefined, [404]);
      await call("GET", `${project}/api_keys?limit=100&owner_project_access=any`);
      await call("GET", project);
      await call("GET", project);
      await call("POST", `${project}/archive`);
      await call("GET", project);
    },
    close: () => agent.close(),
  };
}
