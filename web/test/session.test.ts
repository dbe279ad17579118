import { afterAll, beforeAll, expect, it } from "vitest";
import { type Dashboard, openDashboard } from "./harness.ts";

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await openDashboard();
});
afterAll(() => dashboard?.close());

/** A session of its own, which may be ended without ending another. */
async function freshlySignedIn() {
  const opened = await dashboard.open();
  await dashboard.signIn(opened.page);
  return opened;
}

it("keeps the session in a cookie that no script can read, and ends it at sign-out", async () => {
  const { page, context } = await freshlySignedIn();
  const cookie = (await context.cookies()).find(({ name }) => name === "__Host-keygate");
  expect(cookie).toMatchObject({ httpOnly: true, secure: true, sameSite: "Strict", path: "/" });
  const visible = await page.evaluate(() =>
    JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]),
  );
  expect(visible).not.toContain(cookie?.value);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("**/sign-in");
  await page.goto(`${dashboard.url}/keys?status=all`);
  await page.waitForURL("**/sign-in?to=*");
});

it("brings whoever signs in to the page that they asked for", async () => {
  const { page } = await dashboard.open();
  await page.goto(`${dashboard.url}/jobs?kind=revoke`);
  await page.getByLabel("E-mail").fill(dashboard.stack.admin.email);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The e-mail or the password is wrong").first().waitFor();
  await page.getByLabel("Password").fill(dashboard.stack.admin.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Jobs" }).waitFor();
  expect(new URL(page.url()).search).toContain("kind=revoke");
});

it("loses nothing that was typed when the session ends in the middle of a form", async () => {
  const { page, context } = await freshlySignedIn();
  await page.goto(`${dashboard.url}/developers?dialog=register`);
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("Half Typed");
  await page.getByRole("textbox", { name: "E-mail", exact: true }).fill("half@example.com");
  await context.clearCookies();
  await page.getByRole("button", { name: "Register" }).last().click();
  const dialog = page.getByRole("dialog", { name: "Your session has ended" });
  await dialog.waitFor();
  await dialog.getByLabel("Password").fill(dashboard.stack.admin.password);
  await dialog.getByRole("button", { name: "Sign in" }).click();
  // What was asked for goes on by itself.
  await page.getByRole("heading", { name: "Half Typed" }).waitFor();
});

it("changes nothing for another site, nor for a page without its header", async () => {
  const { page, context } = await freshlySignedIn();
  const body = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name: "Forged", email: "forged@example.com" }),
  };
  const status = await page.evaluate(async (init) => (await fetch("/api/v1/developers", init)).status, body);
  expect(status).toBe(403);
  const { value = "" } = (await context.cookies()).find(({ name }) => name === "__Host-keygate") ?? {};
  const forged = await fetch(`${dashboard.url}/api/v1/developers`, {
    ...body,
    headers: {
      ...body.headers,
      Cookie: `__Host-keygate=${value}`,
      "X-Requested-By": "keygate-dashboard",
      "Sec-Fetch-Site": "cross-site",
    },
  });
  expect(forged.status).toBe(403);
  expect(await dashboard.call<unknown[]>("GET", "/developers?q=forged")).toEqual([]);
});

it("changes the password, stays signed in here and ends every other session", async () => {
  const other = await freshlySignedIn();
  const { page } = await freshlySignedIn();
  const { password } = dashboard.stack.admin;
  const next = "a much longer password";
  await page.goto(`${dashboard.url}/settings`);
  const change = async (from: string, to: string) => {
    await page.getByLabel("Current password").fill(from);
    await page.getByLabel("New password").fill(to);
    await page.getByRole("button", { name: "Change it" }).click();
    await page.getByText("Your password is changed").last().waitFor();
  };
  await change(password, next);
  await page.goto(`${dashboard.url}/keys`);
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await other.page.goto(`${dashboard.url}/keys`);
  await other.page.waitForURL("**/sign-in?to=*");
  await page.goto(`${dashboard.url}/settings`);
  await change(next, password);
});
