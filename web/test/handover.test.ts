import { readFile } from "node:fs/promises";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { askForKey, type Dashboard, logsOf, openDashboard } from "./harness.ts";

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await openDashboard();
});
afterAll(() => dashboard?.close());

/** Writes down everything that a page sends, receives, logs and goes to. */
function watch(context: BrowserContext) {
  const seen: string[] = [];
  const reading: Promise<unknown>[] = [];
  const hosts = new Set<string>();
  const watchPage = (page: Page) => {
    page.on("console", (message) => seen.push(`console ${message.text()}`));
    page.on("pageerror", (error) => seen.push(`error ${error.message} ${error.stack}`));
    page.on("framenavigated", (frame) => seen.push(`url ${frame.url()}`));
    page.on("request", (request) => {
      hosts.add(new URL(request.url()).host);
      seen.push(`request ${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`);
    });
    page.on("response", (response) => {
      if (!response.url().includes("/api/") || response.url().endsWith("/events")) return;
      reading.push(
        response.text().then(
          (text) => seen.push(`response ${text}`),
          () => {},
        ),
      );
    });
  };
  context.on("page", watchPage);
  for (const page of context.pages()) watchPage(page);
  return {
    hosts,
    async all(page: Page) {
      await Promise.all(reading);
      const stored = await page.evaluate(() =>
        JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, history.state, location.href]),
      );
      return [...seen, stored, JSON.stringify(await context.storageState())].join("\n");
    },
  };
}

const secretOf = async (page: Page) => {
  await page.getByRole("button", { name: "Show", exact: true }).click();
  return (await page.getByTestId("secret").textContent()) ?? "";
};

it("opens a key in the page alone: it stands in no request, answer, storage, address, console line or log", async () => {
  const { id } = await dashboard.developer("Canary One");
  const { page, context } = await dashboard.signedIn();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const watched = watch(context);
  await askForKey(page, { url: dashboard.url, developerId: id });
  await page.getByRole("button", { name: "Take the key" }).dblclick();
  await page.getByTestId("secret").waitFor();
  expect(await page.getByTestId("secret").textContent()).toContain("••••");
  const secret = await secretOf(page);
  expect(secret.length).toBeGreaterThan(40);

  await page.getByRole("button", { name: "Copy the key" }).click();
  await page.getByText("Copied", { exact: true }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret);
  for (const tab of ["curl", "Python", "TypeScript"]) {
    await page.getByRole("tab", { name: tab }).click();
    expect(await page.getByRole("tabpanel").textContent()).not.toContain(secret);
  }
  await page.getByRole("button", { name: "Done, forget it" }).click();
  await page.getByText("This page has forgotten the key").waitFor();

  expect(await page.content()).not.toContain(secret);
  const everything = await watched.all(page);
  expect(everything).toContain("api_key_jwe");
  expect(everything).not.toContain(secret);
  expect(everything).not.toContain(secret.slice(-20));
  expect([...watched.hosts]).toEqual([new URL(dashboard.url).host]);
  expect(await logsOf(dashboard)).not.toContain(secret.slice(-20));

  const answer = await fetch(new URL("/v1/models", dashboard.stack.simulator.vendors.openai.url), {
    headers: { Authorization: `Bearer ${secret}` },
  });
  expect(answer.status).toBe(200);
});

it("says copied only after the clipboard agreed, and warns before an uncopied key is left", async () => {
  const { id } = await dashboard.developer("Uncopied One");
  const { page, context } = await dashboard.signedIn();
  await context.addInitScript(() => {
    Object.defineProperty(navigator, "clipboard", { value: { writeText: () => Promise.reject(new Error("no")) } });
  });
  await askForKey(page, { url: dashboard.url, developerId: id });
  await page.getByRole("button", { name: "Take the key" }).click();
  await page.getByRole("button", { name: "Copy the key" }).click();
  await page.getByText("The browser refused").first().waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("dialog", { name: "The key was not copied" }).waitFor();
  await page.getByRole("button", { name: "Stay" }).click();
  await page.getByTestId("secret").waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("button", { name: "Close without it" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.goBack();
  await page.getByText("The key has been taken").waitFor();
  expect(await page.getByTestId("secret").count()).toBe(0);
});

it("makes one key and one job when the button is pressed twice", async () => {
  const { id } = await dashboard.developer("Double Click");
  const { page } = await dashboard.signedIn();
  await page.goto(`${dashboard.url}/keys/new?developer=${id}`);
  await page.getByRole("radio", { name: "OpenAI", exact: true }).check();
  await page.getByRole("button", { name: "Make the key" }).dblclick();
  await page.waitForURL("**/handover/**");
  const keys = await dashboard.call<unknown[]>("GET", `/keys?developer_id=${id}&status=all`);
  expect(keys).toHaveLength(1);
});

it("loses nothing when the page is loaded anew before the key was taken", async () => {
  const { id } = await dashboard.developer("Reload One");
  const { page } = await dashboard.signedIn();
  await askForKey(page, { url: dashboard.url, developerId: id });
  await page.getByRole("button", { name: "Take the key" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Make it anew for this page" }).click();
  await page.getByRole("button", { name: "Take the key" }).click();
  const secret = await secretOf(page);
  expect(secret).toMatch(/^sk-/);
  const books = await dashboard.call<{ status: string }[]>("GET", `/keys?developer_id=${id}&status=all`);
  expect(books.map(({ status }) => status)).toEqual(["active"]);
});

it("hands a key to a developer by a link that nobody else can open, and that opens once", async () => {
  const { id } = await dashboard.developer("Linked One");
  const { page } = await dashboard.signedIn();
  await askForKey(page, { url: dashboard.url, developerId: id, by: "link" });
  await page.getByText("left to take it").waitFor();
  const link = (await page.getByTestId("claim-link").textContent()) ?? "";
  const [address = "", half = ""] = link.split("#");
  expect(half).toMatch(/^[\w-]{43}$/);

  // A preview, and somebody with half of the link: neither burns it.
  expect((await fetch(address)).status).toBe(200);
  const stranger = await dashboard.open();
  await stranger.page.goto(address);
  await stranger.page.getByText("The link is not whole").waitFor();

  const developer = await dashboard.open();
  const watched = watch(developer.context);
  await developer.page.goto(link);
  await developer.page.getByText("A key for Linked One").waitFor();
  await developer.page.getByText(`From ${dashboard.stack.admin.email}`).waitFor();
  await developer.page.getByRole("button", { name: "Show me the key" }).click();
  await developer.page.getByTestId("secret").waitFor();
  const secret = await secretOf(developer.page);
  expect(secret).toMatch(/^sk-/);
  const everything = await watched.all(developer.page);
  expect(everything).not.toContain(secret);
  const sent = everything.split("\n").filter((line) => line.startsWith("request "));
  expect(sent.join("\n")).not.toContain(half);
  await page.getByText("The key has been taken").waitFor();

  const again = await dashboard.open();
  await again.page.goto(link);
  await again.page.getByText("This key has been taken already").waitFor();
  await again.page.getByRole("button", { name: "This was not me" }).click();
  await again.page.getByText("Reported").waitFor();
  await page.goto(dashboard.url);
  await page.getByText("Somebody says that a key was taken by somebody else").waitFor();
});

it("leads through Anthropic, where a person makes the key, from start to end", async () => {
  const { id } = await dashboard.developer("Anthropic One");
  const { page } = await dashboard.signedIn();
  await askForKey(page, { url: dashboard.url, developerId: id, vendor: "Anthropic" });
  await page.getByText("A person has to make this key").waitFor();
  await page.getByLabel("The key from the Console").fill("sk-ant-api03-not-a-key-of-anybody-0000");
  await page.getByRole("button", { name: "Check and hand over" }).click();
  await page.getByText("The key that was given is not the right one").first().waitFor();

  const text = (await page.getByText(/curl -s -X POST/).textContent()) ?? "";
  const body: unknown = JSON.parse(/-d '(.+?)' and take/.exec(text)?.[1] ?? "null");
  const made = await dashboard.control<{ secret: string }>("anthropic", "POST", "/vendor/create_key", body);
  // Another page goes on where this one was: the job waits for whoever asked.
  await page.reload();
  await page.getByRole("button", { name: "Go on here" }).click();
  await page.getByLabel("The key from the Console").fill(made.secret);
  await page.getByRole("button", { name: "Check and hand over" }).click();
  await page.getByRole("button", { name: "Take the key" }).click();
  await page.getByTestId("secret").waitFor();
  expect(await secretOf(page)).toBe(made.secret);
});

it("shows what a vendor says while it fails, and goes on by itself when it recovers", async () => {
  const { id } = await dashboard.developer("Patient One");
  const { page } = await dashboard.signedIn();
  await dashboard.control("openai", "POST", "/faults", {
    match: { method: "POST", path: "projects$" },
    times: 2,
    when: "before",
    do: { type: "respond", status: 503 },
  });
  await askForKey(page, { url: dashboard.url, developerId: id });
  await page.getByText("waiting it out").waitFor();
  await page.getByRole("button", { name: "Take the key" }).waitFor({ timeout: 40_000 });
});

it("offers Google's key as a file", async () => {
  const { id } = await dashboard.developer("Google One");
  const { page } = await dashboard.signedIn();
  await askForKey(page, { url: dashboard.url, developerId: id, vendor: "Google Vertex AI" });
  await page.getByRole("button", { name: "Take the key" }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: /^Download/ }).click(),
  ]);
  const file: unknown = JSON.parse(await readFile(await download.path(), "utf8"));
  expect(file).toMatchObject({ type: "service_account" });
});
