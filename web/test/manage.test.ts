import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Dashboard, openDashboard } from "./harness.ts";

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await openDashboard();
});
afterAll(() => dashboard?.close());

it("leads an empty installation through four steps, and tells which one is next", async () => {
  const { page } = await dashboard.signedIn();
  await page.getByRole("heading", { name: "Four steps to the first key" }).waitFor();
  await page.getByRole("link", { name: "Register a developer" }).click();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("First Developer");
  await page.getByRole("textbox", { name: "E-mail", exact: true }).fill("not an address");
  await page.getByRole("button", { name: "Register" }).last().click();
  await page.getByRole("alert").first().waitFor();
  await page.getByRole("textbox", { name: "E-mail", exact: true }).fill("first@example.com");
  await page.getByRole("button", { name: "Register" }).last().click();
  await page.getByRole("heading", { name: "First Developer" }).waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("link", { name: "Make a key" }).click();
  await page.getByRole("heading", { name: "New key" }).waitFor();
});

it("imports developers from CSV after showing what will happen to each line", async () => {
  await dashboard.developer("Known Already");
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/developers?dialog=import`);
  const csv =
    'Name;E-mail;Team\n"Import, One";import.one@example.com;blue\nKnown Already;known.already@example.com;\nBroken;not-an-address;\n';
  await page.getByLabel("Or its text").fill(csv);
  await page.getByRole("button", { name: "See what will happen" }).click();
  await page.getByText("1 line cannot be used").waitFor();
  await page.getByText("will be registered", { exact: true }).waitFor();
  await page.getByText("known already", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Register 1 developer" }).dblclick();
  await page.getByText("registered", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("link", { name: "Import, One" }).waitFor();
});

it("rotates a key: the new one is taken first, then the old one ends", async () => {
  const { id } = await dashboard.developer("Rotated One");
  const { key_id } = await dashboard.key(id);
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/keys/${key_id}`);
  await page.getByRole("button", { name: "Rotate" }).click();
  await page.getByLabel("The old key ends").selectOption("0");
  await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("button", { name: "Take the key" }).click();
  await page.getByTestId("secret").waitFor();
  const states = async () =>
    (await dashboard.call<{ status: string }[]>("GET", `/keys?developer_id=${id}&status=all`)).map(
      ({ status }) => status,
    );
  await expect.poll(states, { timeout: 20_000 }).toEqual(["active", "rotated"]);
});

it("revokes a key and says revoked only when the vendor has confirmed it", async () => {
  const { id } = await dashboard.developer("Revoked One");
  const { key_id } = await dashboard.key(id);
  await dashboard.control("openai", "POST", "/faults", {
    match: { method: "DELETE" },
    times: 2,
    when: "before",
    do: { type: "respond", status: 503 },
  });
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/keys/${key_id}`);
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).dblclick();
  await page.getByText("The vendor has not confirmed yet").waitFor();
  await page.getByText("Revoked", { exact: true }).waitFor({ timeout: 40_000 });
});

it("revokes many selected keys only after their number was typed, and shows a result for each", async () => {
  const { id } = await dashboard.developer("Many Keys");
  for (let n = 0; n < 3; n++) await dashboard.key(id);
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/keys?developer_id=${id}`);
  await page.getByLabel("Select every key on this page").check();
  await page.getByText("3 selected").waitFor();
  await page.getByRole("button", { name: "Revoke", exact: true }).click();
  const dialog = page.getByRole("dialog");
  expect(await dialog.getByRole("button", { name: "Revoke 3 keys" }).isEnabled()).toBe(false);
  await dialog.getByLabel("Type revoke 3 to go on").press("Enter");
  await dialog.waitFor();
  await dialog.getByLabel("Type revoke 3 to go on").fill("revoke 3");
  await dialog.getByRole("button", { name: "Revoke 3 keys" }).click();
  await page.waitForURL("**/jobs/**");
  await page.getByText("3 of 3 keys revoked").waitFor();
  await expect.poll(() => page.getByRole("table").getByText("Succeeded").count(), { timeout: 20_000 }).toBe(3);
});

it("finds whose a leaked key is from the line it was found in, then revokes and replaces it", async () => {
  const { id } = await dashboard.developer("Leaky One");
  const { api_key, key_id } = await dashboard.call<{ api_key: string; key_id: string }>("POST", "/keys/provision", {
    developer_id: id,
    vendor: "openai",
    budget_limit_usd: 12.5,
    expires_in_days: 20,
    description: "nightly batch",
  });
  const { page } = await dashboard.signedIn();
  await page.getByRole("button", { name: "A key has leaked" }).click();
  await page.getByLabel("What was found").fill(`OPENAI_API_KEY="${api_key}"  # committed by mistake`);
  await page.getByRole("button", { name: "Find whose it is" }).click();
  await page.getByText("certain").waitFor();
  await page.getByRole("dialog").getByText("Leaky One").waitFor();
  await page.getByLabel("The new key goes").selectOption("page");
  await page.getByRole("button", { name: "Revoke and replace" }).dblclick();
  await page.getByRole("button", { name: "Take the key" }).click();
  await page.getByTestId("secret").waitFor();
  await expect
    .poll(async () => (await dashboard.call<{ status: string }>("GET", `/keys/${key_id}`)).status, { timeout: 20_000 })
    .toBe("revoked");
  // One successor, with the limits of the one that leaked.
  const alive = await dashboard.call<{ expires_at: string; created_at: string }[]>("GET", `/keys?developer_id=${id}`);
  expect(alive).toMatchObject([{ budget_limit_usd: 12.5, description: "nightly batch" }]);
  const [successor] = alive;
  const days = (Date.parse(successor?.expires_at ?? "") - Date.parse(successor?.created_at ?? "")) / 86_400_000;
  expect(Math.round(days)).toBe(20);
  const tail = await dashboard.call<{ match: string }[]>("POST", "/keys/find-by-secret", { text: api_key.slice(-16) });
  expect(tail).toMatchObject([{ match: "fingerprint" }]);
});

it("deactivates a developer after telling what dies with them", async () => {
  const { id } = await dashboard.developer("Leaving One");
  const { key_hint } = await dashboard.key(id);
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/developers/${id}`);
  await page.getByRole("link", { name: key_hint }).waitFor();
  await page.getByRole("button", { name: "Deactivate" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(key_hint).waitFor();
  await dialog.getByLabel("Type Leaving One to go on").fill("Leaving One");
  await dialog.getByRole("button", { name: "Deactivate" }).click();
  await page.getByText("1 of 1 keys revoked").waitFor();
});

it("makes a workspace, takes a member in, and keeps its limit", async () => {
  const { id } = await dashboard.developer("Member One");
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/workspaces`);
  await page.getByRole("button", { name: "New workspace" }).click();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("Platform");
  await page.getByLabel("Dollars a month").fill("40");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("heading", { name: "Platform" }).waitFor();
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByPlaceholder("Name or e-mail").fill("Member O");
  await page.getByRole("button", { name: /Member One/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  await page.getByRole("link", { name: "Member One" }).waitFor();

  await page.goto(`${dashboard.url}/keys/new?developer=${id}`);
  await page.getByRole("radio", { name: "OpenAI", exact: true }).check();
  await page.getByRole("combobox", { name: "Workspace" }).selectOption({ index: 1 });
  await page.getByRole("button", { name: "Make the key" }).click();
  await page.getByText("Platform may spend $40.00 a month").waitFor();
  // Mended in place: everything else is still there.
  await page.getByLabel("Budget a month").fill("30");
  await page.getByRole("button", { name: "Make the key" }).click();
  await page.waitForURL("**/handover/**");
});

it("keeps filters and search in the address bar, through back and reload, and exports what is listed", async () => {
  const { id } = await dashboard.developer("Filter One");
  const { key_hint } = await dashboard.key(id);
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/keys`);
  await page.getByLabel("Developer, e-mail, key hint or project").fill("filter.one@");
  await page.waitForURL("**/keys?q=filter.one*");
  await page.getByText("1 key on this page").waitFor();
  await page.getByLabel("State").selectOption("all");
  await page.waitForURL("**status=all*");
  await page.reload();
  await page.getByRole("link", { name: key_hint }).waitFor();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export CSV" }).click(),
  ]);
  const csv = await readFile(await download.path(), "utf8");
  expect(csv.trim().split("\r\n")).toHaveLength(2);
  expect(csv).toContain(key_hint);
  await page.goBack();
  await expect.poll(() => new URL(page.url()).searchParams.get("status")).toBeNull();
});

it("goes to a developer and a key from the keyboard alone", async () => {
  const { id } = await dashboard.developer("Palette Person");
  await dashboard.key(id);
  const { page } = await dashboard.signedIn();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Commands" }).waitFor();
  await page.keyboard.type("palette pers");
  await page.getByRole("option", { name: /^Palette Person/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Palette Person" }).waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("k");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});

it("shows two admins the same, and tells the slower one what happened", async () => {
  const { id } = await dashboard.developer("Two Admins");
  const { key_id } = await dashboard.key(id);
  const [one, two] = [await dashboard.signedIn(), await dashboard.signedIn()];
  for (const { page } of [one, two]) {
    await page.goto(`${dashboard.url}/keys/${key_id}`);
    await page.getByRole("button", { name: "Rotate" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).waitFor();
  }
  await one.page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
  await one.page.getByRole("button", { name: "Take the key" }).waitFor();
  await two.page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
  await two.page.getByText("The key is not active").waitFor();
});

it("checks a vendor and names what is wrong when its credential is refused", async () => {
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/vendors/openai`);
  await page.getByRole("button", { name: "Check now" }).click();
  await page.getByText("The credential works").waitFor();
  await page.getByLabel(/^Admin key/).fill("sk-admin-wrong-wrong-wrong-wrong");
  await page.getByText("Addresses, for a private gateway").click();
  await page.getByLabel(/^API address/).fill(`${dashboard.stack.simulator.vendors.openai.url}/v1`);
  await page.getByRole("button", { name: "Store encrypted, and check" }).click();
  await page.getByText("does not do yet").waitFor();
});
