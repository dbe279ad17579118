/**
 * The simulated Azure OpenAI: resource manager and data plane on one server, Entra over TLS on another.
 *
 * Control actions of the first: `set_local_auth {account, disabled}` (a policy's remediation overnight),
 * `delete_account {account}` (somebody else did it).
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { accountRoutes, setOptions } from "./azure-accounts.ts";
import { handleArm } from "./azure-arm.ts";
import { azureBooks } from "./azure-books.ts";
import { makeCertificate } from "./azure-certificate.ts";
import { handleData } from "./azure-data-plane.ts";
import { deletedRoutes } from "./azure-deleted.ts";
import { deploymentRoutes } from "./azure-deployments.ts";
import { type AzureCredential, createEntraVendor, createTokenBook, type TokenBook } from "./azure-entra.ts";
import { keyRoutes } from "./azure-keys.ts";
import { lookupRoutes } from "./azure-lookups.ts";
import { settle } from "./azure-operations.ts";
import { AzureSettings } from "./azure-settings.ts";
import { type AzurePlace, type AzureState, newState, softDelete, touch } from "./azure-state.ts";
import { subscriptionRoutes } from "./azure-subscription.ts";
import { type RunningVendor, type SimVendor, startVendorServer, type VendorEntry } from "./core.ts";

const ROUTES = [
  ...accountRoutes,
  ...deletedRoutes,
  ...deploymentRoutes,
  ...keyRoutes,
  ...lookupRoutes,
  ...subscriptionRoutes,
];

/** The resource manager and the data plane of one subscription. */
export function createAzureVendor(place: AzurePlace, credential: AzureCredential, tokens: TokenBook): SimVendor {
  let state = newState(place);
  return {
    name: "azure",
    settings: AzureSettings,
    handle: (req, sim) =>
      req.path.startsWith("/_data/")
        ? handleData(state, req, sim)
        : handleArm(ROUTES, state, tokens, credential, req, sim),
    books: (sim, options) => {
      settle(state, sim.now());
      return azureBooks(state, sim, options);
    },
    reset: () => {
      // Tokens stay: they are Entra's, whose reset takes them away. A call that is still running keeps the old state.
      state = newState(place);
    },
    control: (action, body, sim) => {
      settle(state, sim.now());
      return control(state, action, body, sim.now());
    },
  };
}

const SetLocalAuth = z.strictObject({ account: z.string(), disabled: z.boolean() });
const DeleteAccount = z.strictObject({ account: z.string() });

function control(state: AzureState, action: string, body: unknown, now: number) {
  const find = (name: string) => {
    const found = [...state.accounts.values()].find((account) => account.name.toLowerCase() === name.toLowerCase());
    if (found === undefined) throw new Error(`there is no account ${name}`);
    return found;
  };
  if (action === "set_local_auth") {
    const wanted = SetLocalAuth.parse(body);
    const account = find(wanted.account);
    setOptions(account, { ...account.options, disableLocalAuth: wanted.disabled }, now);
    touch(state, account, now);
    return { status: 200, body: {} };
  }
  if (action === "delete_account") {
    softDelete(state, find(DeleteAccount.parse(body).account), now);
    return { status: 200, body: {} };
  }
  return undefined;
}

export interface AzureOptions {
  place?: Partial<AzurePlace> | undefined;
  credential?: Partial<AzureCredential> | undefined;
  port?: number | undefined;
  entraPort?: number | undefined;
  /** Where the authority's certificate is written as `ca.pem`; default: a new private directory, removed at the end. */
  certificateDir?: string | undefined;
}

export interface RunningAzure {
  /** Resource manager and data plane. */
  arm: RunningVendor;
  entra: RunningVendor;
  place: AzurePlace;
  credential: AzureCredential;
  /** For tests that need a token without a client for TLS. */
  tokens: TokenBook;
  caPath: string;
  /** What KeyGate is to be started with to use it. */
  env: Record<string, string>;
  /** Removes what the servers leave on disk. */
  cleanUp(): Promise<void>;
  /** Closes the servers and cleans up. */
  close(): Promise<void>;
}

/** Starts both servers on loopback. */
export async function startAzure(options: AzureOptions = {}): Promise<RunningAzure> {
  const tenantId = options.place?.tenantId ?? options.credential?.tenantId ?? randomUUID();
  const place: AzurePlace = {
    subscriptionId: randomUUID(),
    resourceGroups: ["keygate"],
    locations: ["swedencentral", "eastus2", "westeurope"],
    ...options.place,
    tenantId,
  };
  const credential: AzureCredential = {
    clientId: randomUUID(),
    objectId: randomUUID(),
    clientSecret: `sim~${randomUUID()}`,
    ...options.credential,
    tenantId,
  };
  const tokens = createTokenBook();
  const certificate = makeCertificate(["127.0.0.1", "localhost"]);
  const dir = options.certificateDir ?? (await mkdtemp(join(tmpdir(), "keygate-simulator-")));
  const caPath = join(dir, "ca.pem");
  await writeFile(caPath, certificate.cert);

  const cleanUp = async () => {
    if (options.certificateDir === undefined) await rm(dir, { recursive: true, force: true });
  };
  let arm: RunningVendor | undefined;
  try {
    const manager = await startVendorServer(createAzureVendor(place, credential, tokens), { port: options.port });
    arm = manager;
    const entra = await startVendorServer(
      createEntraVendor(credential, tokens, () => manager.now()),
      { port: options.entraPort, tls: certificate },
    );
    const close = async () => {
      await Promise.all([manager.close(), entra.close()]);
      await cleanUp();
    };
    return {
      arm,
      entra,
      place,
      credential,
      tokens,
      caPath,
      env: environment(place, credential, arm, entra, caPath),
      cleanUp,
      close,
    };
  } catch (error) {
    await arm?.close();
    await cleanUp();
    throw error;
  }
}

const environment = (
  place: AzurePlace,
  credential: AzureCredential,
  arm: RunningVendor,
  entra: RunningVendor,
  caPath: string,
) => ({
  AZURE_RESOURCE_MANAGER_URL: arm.url,
  AZURE_AUTHORITY_HOST: entra.url,
  NODE_EXTRA_CA_CERTS: caPath,
  AZURE_TENANT_ID: credential.tenantId,
  AZURE_CLIENT_ID: credential.clientId,
  AZURE_CLIENT_SECRET: credential.clientSecret,
  AZURE_SUBSCRIPTION_ID: place.subscriptionId,
  AZURE_RESOURCE_GROUP: place.resourceGroups[0] ?? "",
  AZURE_LOCATION: place.locations.join(","),
});

/** For the table in start.ts. */
export const azureEntry = {
  servers: ["azure", "azure-entra"],
  async start(portOf) {
    const { arm, entra, env, cleanUp } = await startAzure({ port: portOf("azure"), entraPort: portOf("azure-entra") });
    return { servers: { azure: arm, "azure-entra": entra }, env, close: cleanUp };
  },
} as const satisfies VendorEntry;
