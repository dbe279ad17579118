import { JWT } from "google-auth-library";
import { describe, expect, it } from "vitest";
import { callModel, GoogleKeyFile } from "./fixtures/google-vertex.ts";
import { dayMs, startWorld } from "./google-vertex-support.ts";

const roleName = "projects/keygate-sim/roles/keygateVertexCaller";

describe("a provisioning at Google", () => {
  it("makes an account that is marked as ours, a grant that ends and one uploaded key that ends, and the file works", async () => {
    const world = await startWorld();
    const { job, state, instructions } = await world.provisioned();
    const [account, ...others] = world.books().accounts.filter(({ is_admin }) => !is_admin);
    expect(others).toEqual([]);
    expect(account).toMatchObject({
      email: `${job.key.projectName}@keygate-sim.iam.gserviceaccount.com`,
      description: `keygate-key=${job.key.id}`,
    });
    expect(account?.keys).toMatchObject([{ origin: "USER_PROVIDED", live: true, id: state.keyId }]);
    const end = job.key.expiresAt?.toISOString().replace(/\.\d+Z$/, "Z");
    expect(account?.keys[0]?.valid_until).toBe(end);
    expect(world.books().policy.bindings.filter(({ role }) => role === roleName)).toEqual([
      {
        role: roleName,
        members: [`serviceAccount:${state.email}`],
        condition: expect.objectContaining({ expression: `request.time < timestamp("${end}")` }),
      },
    ]);
    expect(world.google.liveKeys()).toEqual([world.google.digest(job.secret())]);
    expect(await world.use(job, instructions)).toBe("accepted");
    expect(world.violations()).toEqual([]);
  });

  it("gives developers one permission, in a role that is made once, also when many come first", async () => {
    const world = await startWorld({}, { role: false });
    await Promise.all([world.provisioned(), world.provisioned(), world.provisioned()]);
    await world.provisioned();
    expect(world.books().roles).toMatchObject([
      { name: roleName, includedPermissions: ["aiplatform.endpoints.predict"] },
    ]);
    expect(world.books().events.filter(({ event }) => event === "role.created")).toHaveLength(1);
  });

  it("takes a configured role as it is and never a wider one by itself", async () => {
    const world = await startWorld({ admin_lacks: ["iam.roles.create", "iam.roles.get"] }, { role: false });
    const configured = world.connect({ extra: { ...world.google.settings.extra, role: "roles/aiplatform.user" } });
    await world.job({}, configured).run("provision");
    await expect(world.job().run("provision")).rejects.toMatchObject({ code: "vendor.refused" });
    const granted = world.books().policy.bindings.map(({ role }) => role);
    expect(granted.filter((role) => role === "roles/aiplatform.user")).toHaveLength(1);
  });

  it("writes a file that Google's own library can use, with our token address in it", async () => {
    const world = await startWorld();
    const { job, instructions } = await world.provisioned();
    const file = GoogleKeyFile.parse(JSON.parse(job.secret().reveal()));
    const extra = world.google.settings.extra;
    expect(file).toMatchObject({ project_id: "keygate-sim", token_uri: extra.token_url });
    const jwt = new JWT({ scopes: [String(instructions.token_scope)] });
    jwt.fromJSON(file);
    jwt.transporter.interceptors.request.add({
      resolved: async (config) => Object.assign(config, { url: new URL(file.token_uri) }),
    });
    const { token } = await jwt.getAccessToken();
    expect(await callModel(String(token), instructions.base_url)).toBe(200);
  });

  it("ends access at the expiry, at the vendor, without KeyGate doing anything", async () => {
    const world = await startWorld();
    const { job, instructions } = await world.provisioned({ expiresAt: new Date(Date.now() + dayMs) });
    expect(await world.use(job, instructions)).toBe("accepted");
    world.google.advance(dayMs);
    expect(await world.use(job, instructions)).toBe("refused");
  });

  it("keeps the secret out of the journal and the key's row", async () => {
    const world = await startWorld();
    const { job, vendorRef } = await world.provisioned();
    const file = GoogleKeyFile.parse(JSON.parse(job.secret().reveal()));
    const kept = JSON.stringify([job.journal.dump(), vendorRef]);
    const line = file.private_key.split("\n")[2] ?? "";
    expect(line.length).toBeGreaterThan(40);
    expect(kept).not.toContain(line);
    expect(kept).not.toContain("PRIVATE");
    expect(vendorRef).toMatchObject({ keyId: file.private_key_id, uniqueId: file.client_id });
  });

  it("says honestly that nobody enforces budget, rate and models, and that Google enforces the expiry", async () => {
    const world = await startWorld();
    const { limits } = await world.provisioned({ modelsAllowed: ["gemini-2.5-flash"] });
    expect(limits.map(({ limit, enforced_by, effective }) => [limit, enforced_by, effective !== null])).toEqual([
      ["budget", "none", false],
      ["rate_limit", "none", false],
      ["models", "none", false],
      ["expiry", "vendor", true],
    ]);
  });
});

describe("where the organization restricts keys", () => {
  it("lets Google make the key when uploads are forbidden, and says that the key itself has no end", async () => {
    const world = await startWorld({ constraints: ["iam.disableServiceAccountKeyUpload"] });
    const { job, state, limits, instructions } = await world.provisioned();
    expect(state).toMatchObject({ keyMadeBy: "create", keyValidUntil: null });
    expect(world.account(state.email)?.keys).toMatchObject([{ origin: "GOOGLE_PROVIDED" }]);
    expect(GoogleKeyFile.parse(JSON.parse(job.secret().reveal())).token_uri).toBe(
      world.google.settings.extra.token_url,
    );
    expect(await world.use(job, instructions)).toBe("accepted");
    const expiry = limits.find(({ limit }) => limit === "expiry");
    expect(expiry).toMatchObject({ enforced_by: "vendor", fine_print: expect.stringContaining("no end of its own") });
  });

  it("uploads where only creation is forbidden", async () => {
    const world = await startWorld({ constraints: ["iam.managed.disableServiceAccountKeyCreation"] });
    const { state } = await world.provisioned();
    expect(state.keyMadeBy).toBe("upload");
  });

  it("names both policies when both ways are forbidden, and leaves nothing behind", async () => {
    const world = await startWorld({
      constraints: ["iam.disableServiceAccountKeyCreation", "iam.disableServiceAccountKeyUpload"],
    });
    const job = world.job();
    await expect(job.run("provision")).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringMatching(/iam\.disableServiceAccountKeyUpload, iam\.disableServiceAccountKeyCreation/),
    });
    await job.undo("provision");
    expect(world.google.leftovers()).toEqual([]);
  });

  it("names the policy that forbids accounts", async () => {
    const world = await startWorld({ constraints: ["iam.disableServiceAccountCreation"] });
    await expect(world.job().run("provision")).rejects.toMatchObject({
      detail: expect.stringContaining("iam.disableServiceAccountCreation"),
    });
    expect(world.google.leftovers()).toEqual([]);
  });
});

describe("names at Google", () => {
  it("leaves an account of the same name that is not ours alone, and says so", async () => {
    const world = await startWorld();
    const { job, state } = await world.provisioned();
    const other = world.job({ projectName: job.key.projectName });
    await expect(other.run("provision")).rejects.toMatchObject({ code: "vendor.refused" });
    await other.undo("provision");
    expect(world.account(state.email)?.keys.filter(({ live }) => live)).toHaveLength(1);
  });

  it("replaces what a deleted account of the same name left in the policy", async () => {
    const world = await startWorld();
    const { job, state } = await world.provisioned();
    const admin = world.connect();
    // Somebody deletes the account in the Console: its grant stays, under another spelling.
    await (admin as { deleteAccount(ref: unknown): Promise<unknown> }).deleteAccount({
      projectId: state.projectId,
      email: state.email,
    });
    expect(world.google.leftovers().join()).toContain(`deleted:serviceAccount:${state.email}?uid=${state.uniqueId}`);
    const again = await world.provisioned({ projectName: job.key.projectName });
    expect(await world.use(again.job, again.instructions)).toBe("accepted");
    expect(world.google.leftovers()).toHaveLength(2);
  });

  it("says that the project is full instead of waiting for ever", async () => {
    const world = await startWorld();
    const client = world.client as { createAccount(...args: string[]): Promise<unknown> };
    for (let n = 1; n < 100; n++) await client.createAccount("keygate-sim", `filler-${n}`, "", "");
    await expect(world.job().run("provision")).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringContaining("100 service accounts"),
    });
  });
});
