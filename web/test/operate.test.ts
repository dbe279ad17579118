import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Dashboard, openDashboard } from "./harness.ts";

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await openDashboard({ RECONCILE_CALLS_PER_MINUTE: "openai=6000" });
});
afterAll(() => dashboard?.close());

interface Key {
  status: string;
  vendor_resources: { projectId: string; keyId: string };
}
const keyOf = (id: string) => dashboard.call<Key>("GET", `/keys/${id}`);
const statesOf = async (developerId: string) =>
  (await dashboard.call<Key[]>("GET", `/keys?developer_id=${developerId}&status=all`))
    .map(({ status }) => status)
    .sort();
const eventsOf = (action: string) =>
  dashboard.call<{ details: Record<string, unknown> }[]>("GET", `/audit?action=${action}`);
const refuse = (match: object, times: number, answer: object) =>
  dashboard.control("openai", "POST", "/faults", { match, times, when: "before", do: { type: "respond", ...answer } });
const mend = () => dashboard.control("openai", "DELETE", "/faults");
const use = async (secret: string) =>
  (
    await fetch(new URL("/v1/models", dashboard.stack.simulator.vendors.openai.url), {
      headers: { Authorization: `Bearer ${secret}` },
    })
  ).status;

it("lists what nobody accounts for, removes an orphan once however often it is pressed, and adopts a stray key", async () => {
  const { id } = await dashboard.developer("Stray Owner");
  await dashboard.atOpenAi("POST", "/projects", { name: "keygate-other-eve-bcdfgh" });
  const books = await dashboard.control<{ projects: { id: string; default: boolean }[] }>("openai", "GET", "/books");
  const project = books.projects.find((each) => each.default);
  await dashboard.control("openai", "POST", "/vendor/create_user_key", { project_id: project?.id });
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/reconcile?vendor=openai`);
  await page.getByText("Everything adds up").or(page.getByText("Nothing of that kind")).waitFor();
  await page.getByRole("button", { name: "Look now" }).dblclick();
  const orphan = page.getByRole("listitem").filter({ hasText: "keygate-other-eve-bcdfgh" });
  await orphan.getByText("Orphan", { exact: true }).waitFor();

  await orphan.getByRole("button", { name: "Remove …" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove it at the vendor" }).dblclick();
  await page.waitForURL("**/jobs/**");
  await page.getByText("Succeeded", { exact: true }).first().waitFor();
  const removals = await eventsOf("reconcile.remove");
  expect(removals.filter(({ details }) => details.outcome === "requested")).toHaveLength(1);
  const left = await dashboard.atOpenAi<{ data: { name: string }[] }>("GET", "/projects?limit=100");
  expect(left.data.map(({ name }) => name)).not.toContain("keygate-other-eve-bcdfgh");

  await page.goBack();
  const stray = page.getByRole("listitem").filter({ has: page.getByText("Unmanaged", { exact: true }) });
  await stray.getByRole("button", { name: "Adopt …" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Adopt" }).click();
  await page.getByText("Choose a developer").waitFor();
  await page.getByPlaceholder("Name or e-mail").fill("Stray O");
  await page.getByRole("button", { name: /^Stray Owner/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Adopt" }).dblclick();
  await page.waitForURL("**/keys/key-*");
  await page.getByRole("main").getByRole("link", { name: "Stray Owner" }).waitFor();
  expect(await statesOf(id)).toEqual(["active"]);
});

it("shows a debt with the vendor's words, tries it when asked, and writes it off for a reason only", async () => {
  const { id } = await dashboard.developer("Debtor One");
  const keys = [await dashboard.key(id), await dashboard.key(id)];
  const message = "You have insufficient permissions for this operation.";
  await refuse({ method: "DELETE" }, 0, { status: 403, body: { error: { message } } });
  const { page } = await dashboard.signedIn();
  try {
    for (const { key_id } of keys) {
      await page.goto(`${dashboard.url}/keys/${key_id}?asks=revoke`);
      await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
      await page.getByText("The vendor has not confirmed yet").waitFor();
    }
    await page.goto(`${dashboard.url}/debt`);
    const debts = page.getByRole("list", { name: "Debts" }).getByRole("listitem");
    await expect.poll(() => debts.count(), { timeout: 30_000 }).toBe(2);
    await debts.first().getByText(message).waitFor();
    await debts
      .first()
      .getByRole("link", { name: /Debtor One/ })
      .waitFor();

    await debts.first().getByRole("button", { name: "Write off …" }).click();
    await page.getByRole("button", { name: "Write it off" }).click();
    await page.getByText("A few words, at least 3 letters").waitFor();
    await page.getByLabel("Why").fill("The account was closed");
    await page.getByRole("button", { name: "Write it off" }).dblclick();
    await expect.poll(() => debts.count()).toBe(1);
    expect(await eventsOf("debt.write_off")).toMatchObject([{ details: { reason: "The account was closed" } }]);
  } finally {
    await mend();
  }
  await page.getByRole("button", { name: "Try now" }).dblclick();
  await page.getByText("Nothing is owed").waitFor();
  await page.getByLabel("State").selectOption("all");
  await page.getByText("The account was closed").waitFor();
  await page.getByRole("button", { name: "Take it up again" }).click();
  await page.getByText("Nothing is owed").waitFor();
  await expect.poll(() => statesOf(id), { timeout: 30_000 }).toEqual(["revoked", "revoked"]);
});

/** What a developer does with a link. */
async function takeFrom(link: string): Promise<string> {
  const { page, context } = await dashboard.open();
  await page.goto(link);
  await page.getByRole("button", { name: "Show me the key" }).click();
  await page.getByRole("button", { name: "Show", exact: true }).click();
  const secret = (await page.getByTestId("secret").textContent()) ?? "";
  await context.close();
  return secret;
}

/** All that a page sends and receives, as text. */
function trafficOf(page: Page) {
  const seen: string[] = [];
  page.on("request", (request) => seen.push(`${request.url()} ${request.postData() ?? ""}`));
  page.on("response", (response) => {
    if (response.url().includes("/api/") && !response.url().endsWith("/events"))
      void response.text().then(
        (text) => seen.push(text),
        () => {},
      );
  });
  return seen;
}

it("rotates several keys at once: a link for each developer, a result for each key, and no key in the admin's page", async () => {
  const people = [await dashboard.developer("Bulk One"), await dashboard.developer("Bulk Two")];
  const old = [];
  for (const { id } of people) old.push(await dashboard.key(id));
  const { page, context } = await dashboard.signedIn();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const traffic = trafficOf(page);
  await page.goto(`${dashboard.url}/keys?q=bulk`);
  await page.getByText("2 keys on this page").waitFor();
  await page.getByLabel("Select every key on this page").check();
  await page.getByRole("button", { name: "Rotate", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Each old key ends").selectOption("0");
  await dialog.getByRole("button", { name: "Rotate 2 keys" }).dblclick();
  await dialog.getByText("2 of 2 done").waitFor();
  await dialog.getByRole("button", { name: "Copy all as CSV" }).click();
  await dialog.getByText("Copied", { exact: true }).waitFor();
  const csv = await page.evaluate(() => navigator.clipboard.readText());
  const lines = csv.trim().split("\r\n");
  expect(lines[0]).toBe("developer,vendor,link");
  expect(
    lines
      .slice(1)
      .map((line) => line.split(",")[0])
      .sort(),
  ).toEqual(["Bulk One", "Bulk Two"]);

  const [first] = lines.slice(1).filter((line) => line.startsWith("Bulk One"));
  const secret = await takeFrom(first?.split(",")[2] ?? "");
  expect(await use(secret)).toBe(200);
  await dialog.getByText("taken", { exact: true }).waitFor();
  await expect.poll(() => statesOf(people[0]?.id ?? ""), { timeout: 20_000 }).toEqual(["active", "rotated"]);
  expect(await use(old[0]?.api_key ?? "")).toBe(401);
  // Whoever has not taken theirs keeps the old one.
  expect(await use(old[1]?.api_key ?? "")).toBe(200);
  expect(traffic.join("\n")).not.toContain(secret.slice(-24));
  const halves = lines.slice(1).map((line) => line.split("#")[1] ?? "");
  for (const half of halves) expect(traffic.join("\n")).not.toContain(half);
});

it("revokes by words in the palette, after asking once, with one job for two presses", async () => {
  const { id } = await dashboard.developer("Palette Victim");
  const { key_id, api_key } = await dashboard.key(id);
  const { page } = await dashboard.signedIn();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Commands" }).waitFor();
  await page.keyboard.type("revoke palette vic");
  await page.getByRole("option", { name: /^Revoke .* of Palette Victim$/ }).waitFor();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Revoke this key of Palette Victim?" });
  await dialog.getByRole("button", { name: "Revoke" }).dblclick();
  await page.getByText("Revoked", { exact: true }).first().waitFor();
  expect(await use(api_key)).toBe(401);
  expect(await dashboard.call<unknown[]>("GET", `/jobs?key_id=${key_id}&kind=revoke`)).toHaveLength(1);
});

it("keeps a half-filled key form through the end of the session, and makes one key", async () => {
  const { id } = await dashboard.developer("Expired Session");
  const { page, context } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/keys/new?developer=${id}&vendor=openai`);
  await page.getByLabel("Budget a month").fill("37.5");
  await page.getByLabel("What it is for").fill("typed before the session ended");
  await context.clearCookies();
  await page.getByRole("button", { name: "Make the key" }).dblclick();
  const dialog = page.getByRole("dialog", { name: "Your session has ended" });
  await dialog.getByLabel("Password").fill(dashboard.stack.admin.password);
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Take the key" }).waitFor();
  const keys = await dashboard.call<object[]>("GET", `/keys?developer_id=${id}&status=all`);
  expect(keys).toMatchObject([{ budget_limit_usd: 37.5, description: "typed before the session ended" }]);
});

it("survives back, forward and reload at every step of provisioning, with one key at the end", async () => {
  const { id } = await dashboard.developer("Restless One");
  const { page } = await dashboard.signedIn();
  await dashboard.control("openai", "POST", "/faults", {
    id: "held",
    match: { method: "POST", path: "service_accounts$" },
    when: "before",
    do: { type: "hang" },
  });
  // The form, left and come back to.
  await page.goto(`${dashboard.url}/developers/${id}`);
  await page.getByRole("link", { name: "Make one" }).click();
  await page.getByRole("radio", { name: "OpenAI", exact: true }).check();
  await page.goBack();
  await page.getByRole("heading", { name: "Restless One" }).waitFor();
  await page.goForward();
  await page.getByRole("radio", { name: "OpenAI", exact: true }).check();
  await page.getByRole("button", { name: "Make the key" }).click();
  // While it is made.
  await page.waitForURL("**/handover/**");
  await page.getByText("Step", { exact: false }).first().waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Restless One" }).waitFor();
  await page.goForward();
  await page.getByText("Making the key").waitFor();
  await dashboard.control("openai", "POST", "/faults/held/release", {});
  // Ready, then left and come back to: what opens it is still in the page.
  await page.getByRole("button", { name: "Take the key" }).waitFor();
  await page.goBack();
  await page.goForward();
  await page.getByRole("button", { name: "Take the key" }).click();
  await page.getByTestId("secret").waitFor();
  // Taken: a reload warns first, and shows nothing afterwards.
  const asked = page.waitForEvent("dialog").then((dialog) => dialog.accept().then(() => dialog.type()));
  await page.reload();
  expect(await asked).toBe("beforeunload");
  await page.getByText("The key has been taken").waitFor();
  expect(await page.getByTestId("secret").count()).toBe(0);
  expect(await statesOf(id)).toEqual(["active"]);
});

it("says that a vendor slows KeyGate down, and that it is over, while the page is open", async () => {
  const { id } = await dashboard.developer("Slowed One");
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/vendors/openai`);
  await page.getByText("Full speed").waitFor();
  await refuse({ method: "POST", path: "projects$" }, 1, { status: 429, headers: { "retry-after": "8" } });
  const made = dashboard.key(id);
  const waiting = async () =>
    (await dashboard.call<{ throttling: { jobs_waiting: number } }[]>("GET", "/vendors")).reduce(
      (sum, vendor) => sum + vendor.throttling.jobs_waiting,
      0,
    );
  await expect.poll(waiting, { timeout: 20_000 }).toBe(1);
  await page.reload();
  await page.getByText("1 job waits for the vendor's rate limit").waitFor();
  await made;
  await page.getByText("Full speed").waitFor();
});

it("keeps a list on show while KeyGate cannot be reached, and what was typed", async () => {
  const { page, context } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/developers?dialog=register`);
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("Offline One");
  await page.getByRole("textbox", { name: "E-mail", exact: true }).fill("offline.one@example.com");
  await context.setOffline(true);
  await page.getByRole("button", { name: "Register" }).last().click();
  await page.getByText("KeyGate cannot be reached").waitFor();
  await context.setOffline(false);
  expect(await page.getByRole("textbox", { name: "Name", exact: true }).inputValue()).toBe("Offline One");
  await page.getByRole("button", { name: "Register" }).last().click();
  await page.getByRole("heading", { name: "Offline One" }).waitFor();
});

it("verifies the audit log, and remembers which columns of the keys were chosen", async () => {
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/audit`);
  await page.getByRole("button", { name: "Verify now" }).click();
  await page.getByText("The log is whole").waitFor();
  await page.goto(`${dashboard.url}/keys?status=all`);
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("menuitemcheckbox", { name: "Team" }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("columnheader", { name: "Team" }).waitFor();
  await page.reload();
  await page.getByRole("columnheader", { name: "Team" }).waitFor();
});

it("moves the focus into a window, keeps it there, and gives it back", async () => {
  const { id } = await dashboard.developer("Focus One");
  const { key_id } = await dashboard.key(id);
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/keys/${key_id}`);
  const button = page.getByRole("button", { name: "Rotate" });
  await button.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Rotate this key" });
  await dialog.waitFor();
  for (let presses = 0; presses < 8; presses++) {
    await page.keyboard.press("Tab");
    expect(await dialog.evaluate((element) => element.contains(document.activeElement))).toBe(true);
  }
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  expect(await button.evaluate((element) => element === document.activeElement)).toBe(true);
  expect((await keyOf(key_id)).status).toBe("active");
});
