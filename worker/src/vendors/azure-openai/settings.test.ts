import { loadConfig } from "@keygate/shared/config";
import { Secret } from "@keygate/shared/secret";
import { describe, expect, it } from "vitest";
import { readAzureSettings } from "./settings.ts";

const id = "00000000-1111-2222-3333-444444444444";
const extra = {
  subscription_id: id,
  resource_group: "keygate",
  tenant_id: id,
  client_id: id,
  location: "Sweden Central, eastus2,swedencentral",
};
const read = (more: Record<string, unknown> = {}, adminKey = "secret") =>
  readAzureSettings({
    vendor: "azure_openai",
    version: 1,
    adminKey: new Secret(adminKey),
    orgId: null,
    extra: { ...extra, ...more },
    simulated: false,
  });

describe("the settings", () => {
  it("need only what has no default", () => {
    expect(read()).toMatchObject({
      identity: { kind: "secret", tenantId: id, clientId: id },
      locations: ["swedencentral", "eastus2"],
      resourceManagerUrl: "https://management.azure.com",
      authorityHost: "https://login.microsoftonline.com",
      tokenScope: "https://management.azure.com/.default",
      otherTokenScope: null,
      isKnownAuthority: true,
      deploymentTypes: ["GlobalStandard", "DataZoneStandard", "Standard"],
      apiVersion: "2026-03-01",
    });
  });

  it.each([
    [
      "a sovereign cloud",
      { resource_manager_url: "https://management.usgovcloudapi.net/" },
      ["https://login.microsoftonline.us", "https://management.usgovcloudapi.net/.default", true],
    ],
    [
      "a gateway in front of a cloud",
      { resource_manager_url: "https://arm.corp", authority_host: "https://login.chinacloudapi.cn" },
      ["https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn/.default", true],
    ],
    [
      "a world of its own",
      { resource_manager_url: "http://127.0.0.1:1", authority_host: "https://127.0.0.1:2" },
      ["https://127.0.0.1:2", "http://127.0.0.1:1/.default", false],
    ],
    [
      "an authority on this machine, which may speak plain HTTP",
      { resource_manager_url: "http://localhost:1", authority_host: "http://localhost:2/" },
      ["http://localhost:2", "http://localhost:1/.default", false],
    ],
  ])("follow from the addresses for %s", (_, addresses, expected) => {
    const { authorityHost, tokenScope, isKnownAuthority } = read(addresses);
    expect([authorityHost, tokenScope, isKnownAuthority]).toEqual(expected);
  });

  it.each([
    ["managed-identity", { kind: "managed", clientId: id }],
    ["workload-identity", { kind: "workload", tenantId: id, clientId: id }],
    ["", { kind: "machine", tenantId: id, clientId: id }],
  ])("take %o for an identity of the machine", (adminKey, identity) => {
    expect(read({}, adminKey).identity).toEqual(identity);
  });

  it.each([
    [{ location: undefined, resource_group: undefined }, "lacks resource_group, location"],
    [{ client_id: undefined }, "lacks client_id"],
    [{ authority_host: "http://login" }, "authority_host: Must be an https address"],
    [{ authority_host: "http://127.0.0.1.login.example" }, "authority_host: Must be an https address"],
    [{ authority_host: "http://localhost@login.example" }, "authority_host: Must be an https address"],
    [{ subscription_id: "prod" }, "subscription_id: Must be an id"],
    [{ deployment_types: "GlobalProvisionedManaged" }, "deployment_types"],
    [{ colour: "blue" }, "colour"],
  ])("say what is wrong with %o", (more, words) => {
    expect(() => read(more)).toThrow(words);
    expect(() => read(more)).toThrow("vendor.refused_us");
  });
});

describe("the environment", () => {
  const base = {
    DATABASE_URL: "postgres://localhost/keygate",
    SECRET_KEY: "Yk3vXn0aLq8dTz5cRw1eUo7iPm4sHj6gBf2x",
    ENCRYPTION_KEY: "Qw9eRt2yUi5oPa8sDf1gHj4kLz7xCv0bNm3q",
  };
  const azure = {
    AZURE_SUBSCRIPTION_ID: id,
    AZURE_RESOURCE_GROUP: "keygate",
    AZURE_LOCATION: "swedencentral,eastus2",
  };

  it("configures the vendor, with or without a secret", () => {
    const secret = { AZURE_CLIENT_SECRET: "s", AZURE_TENANT_ID: id, AZURE_CLIENT_ID: id };
    const full = loadConfig({ ...base, ...azure, ...secret }).vendors.azure_openai;
    expect(full?.adminKey?.reveal()).toBe("s");
    expect(full?.extra).toMatchObject({ location: "swedencentral,eastus2", tenant_id: id });
    expect(loadConfig({ ...base, ...azure }).vendors.azure_openai?.adminKey?.reveal()).toBe("");
    expect(loadConfig(base).vendors.azure_openai).toBeUndefined();
  });

  it("names everything that is missing or wrong", () => {
    const wrong = { AZURE_CLIENT_SECRET: "s", AZURE_AUTHORITY_HOST: "http://login", AZURE_SUBSCRIPTION_ID: id };
    expect(() => loadConfig({ ...base, ...wrong })).toThrow(
      /AZURE_RESOURCE_GROUP: is required(.|\n)*AZURE_LOCATION: is required(.|\n)*AZURE_AUTHORITY_HOST: Must be an https/,
    );
  });
});
