import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Dashboard, logsOf, openDashboard } from "./harness.ts";

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await openDashboard();
});
afterAll(() => dashboard?.close());

const email = "grace@example.com";
const password = "hopper's long password";
const card = (page: Page, title: string) =>
  page.locator("section", { has: page.getByRole("heading", { name: title }) });

it("invites an admin by a link that is shown once, sets their password, and removes them again", async () => {
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/settings`);
  await page.getByRole("button", { name: "Invite" }).click();
  const dialog = page.getByRole("dialog", { name: "Invite somebody" });
  await dialog.getByLabel("E-mail").fill(email);
  await dialog.getByLabel("Role").selectOption("admin");
  await dialog.getByRole("button", { name: "Make the link" }).click();
  const link = await dialog.getByLabel(`Link for ${email}`).inputValue();
  expect(link).toMatch(new RegExp(`^${dashboard.url}/welcome#[0-9a-f]{64}$`));
  await dialog.getByRole("button", { name: "I have it" }).click();
  const row = card(page, "Admins").getByRole("row", { name: email });
  await row.getByText("invited").waitFor();
  // A link that is looked at is not used up; the page that made it shows it no more.
  expect(await page.content()).not.toContain(link.split("#")[1]);

  const guest = await dashboard.open();
  await guest.page.goto(link);
  await guest.page.getByText(`${dashboard.stack.admin.email} invited you to KeyGate as admin`).waitFor();
  await guest.page.getByLabel("New password").fill("short");
  await guest.page.getByLabel("Once more").fill("short");
  await guest.page.getByRole("button", { name: "Set it and sign in" }).click();
  await guest.page.getByRole("alert").getByText("Must be 12 characters or more").waitFor();
  await guest.page.getByLabel("New password").fill(password);
  await guest.page.getByLabel("Once more").fill(password);
  await guest.page.getByRole("button", { name: "Set it and sign in" }).click();
  await guest.page.getByRole("heading", { name: "Overview" }).waitFor();
  expect(guest.page.url()).not.toContain("#");

  const late = await dashboard.open();
  await late.page.goto(link);
  await late.page.getByText("This link was used already, or its time is over").waitFor();

  // An admin sees who else there is and, by a reason, that only owners change it.
  await guest.page.goto(`${dashboard.url}/settings`);
  const invite = guest.page.getByRole("button", { name: "Invite" });
  await invite.waitFor();
  expect(await invite.getAttribute("aria-disabled")).toBe("true");
  expect(await invite.getAttribute("title")).toContain("Only owners");

  await page.reload();
  await row.getByText("active").waitFor();
  await row.getByRole("button", { name: `Change ${email}` }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  // While the window is open, no row behind it counts as being there.
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await row.waitFor({ state: "detached" });
  await guest.page.goto(`${dashboard.url}/keys`);
  await guest.page.waitForURL("**/sign-in?to=*");
  expect(await logsOf(dashboard)).not.toContain(link.split("#")[1]);
});

it("makes a service token that works, is never shown again, and ends when it is revoked", async () => {
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/settings`);
  await page.getByRole("button", { name: "New token" }).click();
  const dialog = page.getByRole("dialog", { name: "New service token" });
  await dialog.getByLabel("Name").fill("deploy");
  await dialog.getByRole("checkbox", { name: /keys:revoke/ }).check();
  await dialog.getByRole("button", { name: "Make the token" }).click();
  const token = await dialog.getByLabel("Service token").inputValue();
  const status = async () => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${dashboard.url}/api/v1/keys`, { headers })).status;
  };
  expect(await status()).toBe(200);
  await dialog.getByRole("button", { name: "I have it" }).click();
  const row = card(page, "Service tokens").getByRole("row", { name: /deploy/ });
  await row.getByText("read, keys:revoke").waitFor();
  await page.reload();
  await row.getByText("now", { exact: false }).first().waitFor();
  expect(await page.content()).not.toContain(token);
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  expect(stored).not.toContain(token);
  await row.getByRole("button", { name: "Revoke deploy" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  // While the window is open, no row behind it counts as being there.
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await row.waitFor({ state: "detached" });
  expect(await status()).toBe(401);
  expect(await logsOf(dashboard)).not.toContain(token);
});

it("keeps its policy on every page of its own, and opens the queues to whoever is signed in", async () => {
  const { page } = await dashboard.signedIn();
  const refused: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") refused.push(`${page.url()}: ${message.text()}`);
  });
  const elsewhere: string[] = [];
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== dashboard.url && protocol.startsWith("http")) elsewhere.push(request.url());
  });
  for (const [path, text] of [
    ["/settings", "Service tokens"],
    ["/docs", "/api/v1/auth/login"],
    ["/redoc", "Service tokens"],
  ] as const) {
    await page.goto(`${dashboard.url}${path}`);
    await page.getByText(text).first().waitFor();
  }
  // The board is drawn from this answer, which the dashboard's session opens.
  const listed = page.waitForResponse((response) => new URL(response.url()).pathname === "/queues/api/queues");
  await page.goto(`${dashboard.url}/queues/`);
  const answer = await listed;
  expect(answer.status()).toBe(200);
  const { queues } = (await answer.json()) as { queues: { name: string }[] };
  expect(queues.map(({ name }) => name)).toContain("vendor-openai");
  // The board asks for a font from elsewhere, ReDoc for its maker's picture; the policy is what refuses them.
  expect(refused.filter((line) => !/fonts\.g(oogleapis|static)\.com|cdn\.redoc\.ly/.test(line))).toEqual([]);
  expect(elsewhere.filter((url) => !/fonts\.g(oogleapis|static)\.com|cdn\.redoc\.ly/.test(url))).toEqual([]);
});
