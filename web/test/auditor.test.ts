import type { UserLink } from "@keygate/shared/contracts/users";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type Dashboard, openDashboard } from "./harness.ts";

const reason = "Auditors can look, not change";
const auditor = { email: "auditor@example.com", password: "reads the whole of it" };
let dashboard: Dashboard;
let page: Page;
/** Every request that would change something, were it let. */
const changing: string[] = [];
const ids = { developer: "", key: "", job: "", waiting: "", workspace: "" };

beforeAll(async () => {
  dashboard = await openDashboard({ RECONCILE_CALLS_PER_MINUTE: "openai=6000" });
  const { call } = dashboard;
  const developer = await dashboard.developer("Looked At");
  const key = await dashboard.key(developer.id);
  const workspace = await call<{ id: string }>("POST", "/workspaces", { name: "Research", spend_limit: 500 });
  await call("POST", `/workspaces/${workspace.id}/members`, { developer_id: developer.id });
  const [job] = await call<{ id: string }[]>("GET", "/jobs?kind=provision");
  await call("POST", "/keys/provision", { developer_id: developer.id, vendor: "anthropic" });
  await call("POST", "/tokens", { name: "deploy", scopes: ["read"], expires_in_days: 7 });
  // One finding of each sort that can be acted on, and one debt.
  await dashboard.atOpenAi("POST", "/projects", { name: "keygate-other-eve-bcdfgh" });
  await call("POST", "/reconcile", { vendor: "openai" });
  const indebted = await dashboard.key(developer.id);
  const refusal = { type: "respond", status: 403, body: { error: { message: "No." } } };
  await dashboard.control("openai", "POST", "/faults", {
    match: { method: "DELETE" },
    times: 0,
    when: "before",
    do: refusal,
  });
  await call("POST", `/keys/${indebted.key_id}/revoke`, {});
  const lists = async () => ({
    debts: await call<unknown[]>("GET", "/debt"),
    findings: (await call<{ findings: unknown[] }>("GET", "/reconcile")).findings,
    waiting: await call<{ id: string }[]>("GET", "/jobs?status=waiting_for_input"),
  });
  const { waiting: waits } = await vi.waitFor(
    async () => {
      const found = await lists();
      for (const list of Object.values(found)) expect(list).not.toEqual([]);
      return found;
    },
    { timeout: 120_000, interval: 500 },
  );
  Object.assign(ids, {
    developer: developer.id,
    key: key.key_id,
    job: job?.id,
    waiting: waits[0]?.id,
    workspace: workspace.id,
  });

  const link = await call<UserLink>("POST", "/users/invite", { email: auditor.email, role: "auditor" });
  const token = link.one_time_link?.split("#")[1];
  await call("POST", "/auth/links/use", { link_token: token, new_password: auditor.password });
  ({ page } = await dashboard.open());
  await page.goto(`${dashboard.url}/sign-in`);
  await page.getByLabel("E-mail").fill(auditor.email);
  await page.getByLabel("Password").fill(auditor.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  page.on("request", (request) => {
    if (request.method() !== "GET") changing.push(`${page.url()}: ${request.method()} ${request.url()}`);
  });
});
afterAll(() => dashboard?.close());

/** What a screen reader is told of each button that cannot be pressed: its name and, described by it, why. */
async function offButtons(): Promise<Map<string, string>> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const off = nodes.filter(
    ({ role, properties }) =>
      role?.value === "button" && properties?.some(({ name, value }) => name === "disabled" && value.value),
  );
  return new Map(off.map(({ name, description }) => [String(name?.value), String(description?.value ?? "")]));
}

// Each page with what an admin could do there.
const pages = (): [path: string, isThere: string, deeds: string[]][] => [
  ["/", "Recent events", ["New key", "A key has leaked"]],
  ["/keys", "on this page", ["New key"]],
  ["/keys/new", "Ask an admin", []],
  [`/keys/${ids.key}`, "Who enforces what", ["Rotate", "Revoke"]],
  [`/keys/${ids.key}?asks=rotate`, "The old key ends", ["Rotate"]],
  [`/keys/${ids.key}?asks=revoke`, "stops working at the vendor", ["Revoke"]],
  ["/developers", "on this page", ["Register", "Import CSV"]],
  ["/developers?dialog=register", "Whoever gets keys", ["Register"]],
  [`/developers/${ids.developer}`, "Role in the organization", ["Edit", "Deactivate", "New key"]],
  ["/workspaces", "Research", ["New workspace"]],
  [`/workspaces/${ids.workspace}`, "Looked At", ["Edit", "Archive", "Add", "Remove Looked At"]],
  ["/vendors/openai", "Replace the credential", ["Check now", "Remove", "Store encrypted, and check"]],
  [`/jobs/${ids.job}`, "Progress", []],
  [`/jobs/${ids.waiting}`, "Progress", ["Retry now", "Cancel"]],
  [`/handover/${ids.waiting}`, "The job", []],
  ["/reconcile", "keygate-other-eve-bcdfgh", ["Look now", "Remove …"]],
  ["/debt", "Try now", ["Try now", "Write off …"]],
  ["/settings", "deploy", ["New token", "Revoke deploy"]],
];

it("offers an auditor nothing that changes something, and says why to the eye and to a screen reader", async () => {
  for (const [path, isThere, deeds] of pages()) {
    await page.goto(dashboard.url + path);
    await page.getByText(isThere).first().waitFor();
    await page.getByRole("note", { includeHidden: true }).getByText(reason).waitFor();
    const off = await offButtons();
    for (const deed of deeds) expect(off.get(deed), `${deed} on ${path}`).toBe(reason);
    expect(await page.locator('a[href^="/keys/new"]').count(), path).toBe(0);
  }
});

it("lets an auditor press everything on every page without a request that changes something", async () => {
  changing.length = 0;
  const presses: string[] = [];
  for (const [path, isThere] of pages()) {
    const open = async () => {
      await page.goto(dashboard.url + path);
      await page.getByText(isThere).first().waitFor();
    };
    await open();
    const names = await page
      .locator("button")
      .evaluateAll((buttons) => buttons.map((button) => button.ariaLabel ?? button.textContent ?? ""));
    for (const [index, name] of names.entries()) {
      // Signing out is everybody's own affair.
      if (name === "Sign out") continue;
      // Pressed as a screen reader presses, which no window before it hinders; then all that opened over the page.
      await page.evaluate((at) => document.querySelectorAll<HTMLElement>("button")[at]?.click(), index);
      await page.evaluate(() => {
        for (const button of document.querySelectorAll<HTMLElement>("[role=dialog] [type=submit]")) button.click();
      });
      presses.push(`${path} ${name}`);
      if (page.url() !== dashboard.url + path || (await page.getByRole("dialog").count()) > 0) await open();
    }
  }
  expect(presses.length).toBeGreaterThan(100);
  expect(changing).toEqual([]);
  const mine = await dashboard.call<{ action: string }[]>("GET", `/audit?actor=${auditor.email}`);
  expect(new Set(mine.map(({ action }) => action))).toEqual(new Set(["user.join", "auth.login"]));
});

it("answers a press on what is off with the reason, and leaves what changes out of the palette", async () => {
  await page.goto(`${dashboard.url}/keys/${ids.key}`);
  await page.getByRole("button", { name: "Rotate" }).click({ force: true });
  await page.locator("[aria-live=polite]").getByText(reason).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Commands" }).fill("looked at");
  await page.getByRole("option", { name: /^Looked At/ }).waitFor();
  const options = await page.getByRole("option").allTextContents();
  expect(options.filter((text) => /new key|rotate|revoke|leaked|register|import/i.test(text))).toEqual([]);
});

it("lets an auditor change their own password", async () => {
  await page.goto(`${dashboard.url}/settings`);
  await page.getByLabel("Current password").fill(auditor.password);
  await page.getByLabel("New password").fill("another one, as long");
  await page.getByRole("button", { name: "Change it" }).click();
  await page.getByText("Your password is changed").waitFor();
});
