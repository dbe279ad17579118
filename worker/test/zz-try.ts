import { readFileSync } from "node:fs";
import tls from "node:tls";
import { ClientSecretCredential } from "@azure/identity";
import { startAzure } from "@keygate/simulator/azure";

const az = await startAzure();
const scope = `${az.arm.url}/.default`;
const mk = (secret: string, host = az.entra.url, tenant = az.credential.tenantId, client = az.credential.clientId) =>
  new ClientSecretCredential(tenant, client, secret, {
    authorityHost: host,
    disableInstanceDiscovery: true,
    retryOptions: { maxRetries: 0 },
  });
const show = async (name: string, p: () => Promise<unknown>) => {
  const t = Date.now();
  try {
    const r: any = await p();
    console.log(name, "OK", r.expiresOnTimestamp - Date.now(), Date.now() - t);
  } catch (e: any) {
    console.log(
      name,
      Date.now() - t,
      e.name,
      Object.keys(e),
      e.statusCode,
      e.code,
      JSON.stringify(e.errorResponse ?? null),
      "cause:",
      e.cause?.name,
      e.cause?.code,
      e.cause && Object.keys(e.cause),
      e.cause?.errorCode,
      e.cause?.errorNo,
      e.cause?.status,
    );
    console.log("   msg", e.message.slice(0, 200));
  }
};
await show("untrusted", () => mk("x").getToken(scope));
tls.setDefaultCACertificates([...tls.getCACertificates("default"), readFileSync(az.caPath, "utf8")]);
const good = mk(az.credential.clientSecret);
await show("good", () => good.getToken(scope));
await show("cached", () => good.getToken(scope));
console.log(az.entra.calls().map((c) => c.method + c.path + c.status));
await show("wrong", () => mk("x").getToken(scope));
await show("wrong tenant", () =>
  mk(az.credential.clientSecret, az.entra.url, "11111111-1111-1111-1111-111111111111").getToken(scope),
);
await show("wrong client", () =>
  mk(az.credential.clientSecret, az.entra.url, az.credential.tenantId, "11111111-1111-1111-1111-111111111111").getToken(
    scope,
  ),
);
await show("refused", () => mk("x", "https://127.0.0.1:1").getToken(scope));
await show("dns", () => mk("x", "https://nope.invalid").getToken(scope));
for (const path of ["token", "openid"]) {
  for (const effect of [
    { type: "respond", status: 503, body: {} },
    {
      type: "respond",
      status: 429,
      headers: { "retry-after": "7" },
      body: { error: "temporarily_unavailable", error_description: "AADSTS90055: too many" },
    },
    { type: "respond", status: 200, text: "<html>" },
    { type: "drop" },
  ] as const) {
    az.entra.faults.add({ match: { path }, when: "before", times: 1, do: effect as any });
    await show(path + JSON.stringify(effect), () => mk(az.credential.clientSecret).getToken(scope));
    az.entra.faults.clear();
  }
}
az.entra.faults.add({ match: { path: "token" }, when: "before", times: 0, do: { type: "hang" } });
await show("hang", () => mk(az.credential.clientSecret).getToken(scope, { abortSignal: AbortSignal.timeout(1500) }));
await az.close();
process.exit(0);
