import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Dashboard, openDashboard } from "./harness.ts";

// Whatever costs something is pressed twice here, and counted where it counts: in KeyGate's books and the vendor's.

let dashboard: Dashboard;
let page: Page;
let posts: string[] = [];
beforeAll(async () => {
  dashboard = await openDashboard();
  ({ page } = await dashboard.signedIn());
  page.on("request", (request) => {
    if (request.method() !== "GET") posts.push(new URL(request.url()).pathname.split("/").at(-1) ?? "");
  });
});
afterAll(() => dashboard?.close());

const eventsOf = async (action: string, resourceId?: string) =>
  (
    await dashboard.call<{ details: { outcome?: string } }[]>(
      "GET",
      `/audit?action=${action}${resourceId ? `&resource_id=${resourceId}` : ""}`,
    )
  ).map(({ details }) => details.outcome);
const jobsOf = (query: string) =>
  dashboard.call<{ id: string; status: string; next_try_at: string | null }[]>("GET", `/jobs?${query}`);
/** Notices of something that failed. */
const bad = () => page.locator("[aria-live=polite]").locator("svg.text-bad").count();
/** Opens a page and forgets what was sent before. */
const goTo = async (path: string) => {
  await page.goto(dashboard.url + path);
  posts = [];
};

it("rotates once", async () => {
  const { id } = await dashboard.developer("Twice Rotated");
  const { key_id } = await dashboard.key(id);
  await goTo(`/keys/${key_id}?asks=rotate`);
  await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).dblclick();
  await page.getByRole("button", { name: "Take the key" }).dblclick();
  await page.getByTestId("secret").waitFor();
  expect(posts.filter((path) => path === "rotate" || path === "claim")).toEqual(["rotate", "claim"]);
  expect(await jobsOf(`developer_id=${id}&kind=rotate`)).toHaveLength(1);
  const keys = await dashboard.call<unknown[]>("GET", `/keys?developer_id=${id}&status=all`);
  expect(keys).toHaveLength(2);
  const books = await dashboard.control<{ projects: { name: string }[] }>("openai", "GET", "/books");
  expect(books.projects.filter(({ name }) => name.includes("twice-rotated"))).toHaveLength(1);
});

it("cancels once, and leaves nothing at the vendor", async () => {
  const { id } = await dashboard.developer("Twice Cancelled");
  await dashboard.control("openai", "POST", "/faults", {
    id: "held",
    match: { method: "POST", path: "service_accounts$" },
    when: "before",
    do: { type: "respond", status: 503 },
    times: 0,
  });
  try {
    void dashboard.key(id).catch(() => {});
    await expect.poll(async () => (await jobsOf(`developer_id=${id}`)).length).toBe(1);
    const [job] = await jobsOf(`developer_id=${id}`);
    await goTo(`/jobs/${job?.id}`);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the job" }).dblclick();
    await page.getByText("Cancelled", { exact: true }).first().waitFor();
    expect(posts).toEqual(["cancel"]);
    expect(await eventsOf("job.cancel", job?.id)).toHaveLength(1);
    const left = await dashboard.atOpenAi<{ data: { name: string }[] }>("GET", "/projects?limit=100");
    expect(left.data.filter(({ name }) => name.includes("twice-cancelled"))).toEqual([]);
  } finally {
    await dashboard.control("openai", "DELETE", "/faults");
  }
});

it("archives a workspace once, and takes a member out of it once", async () => {
  const { id } = await dashboard.developer("Twice Member");
  const workspace = await dashboard.call<{ id: string }>("POST", "/workspaces", { name: "Twice" });
  await dashboard.call("POST", `/workspaces/${workspace.id}/members`, { developer_id: id });
  await goTo(`/workspaces/${workspace.id}`);
  await page.getByRole("button", { name: "Remove Twice Member" }).dblclick();
  await page.getByText("Nobody yet").waitFor();
  expect(posts).toEqual([id]);
  expect(await bad()).toBe(0);
  await page.getByRole("button", { name: "Archive" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Archive" }).dblclick();
  await page.waitForURL("**/workspaces");
  expect(posts).toEqual([id, "archive"]);
  expect(await eventsOf("workspace.archive", workspace.id)).toHaveLength(1);
  expect(await bad()).toBe(0);
});

it("deactivates a developer once, with one batch for their keys", async () => {
  const { id } = await dashboard.developer("Twice Deactivated");
  await dashboard.key(id);
  await goTo(`/developers/${id}`);
  await page.getByRole("link", { name: /^sk-/ }).waitFor();
  await page.getByRole("button", { name: "Deactivate" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Type Twice Deactivated to go on").fill("Twice Deactivated");
  await dialog.getByRole("button", { name: "Deactivate" }).dblclick();
  await page.getByText("1 of 1 keys revoked").waitFor();
  expect(posts).toEqual([id]);
  expect(await eventsOf("developer.deactivate", id)).toHaveLength(1);
  expect(await jobsOf(`developer_id=${id}&kind=revoke`)).toHaveLength(1);
});

it("revokes many in one batch", async () => {
  const { id } = await dashboard.developer("Twice Many");
  for (let n = 0; n < 2; n++) await dashboard.key(id);
  const before = (await jobsOf("kind=batch_revoke")).length;
  await goTo(`/keys?developer_id=${id}`);
  await page.getByLabel("Select every key on this page").check();
  await page.getByRole("button", { name: "Revoke", exact: true }).dblclick();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Type revoke 2 to go on").fill("revoke 2");
  await dialog.getByRole("button", { name: "Revoke 2 keys" }).dblclick();
  await page.getByText("2 of 2 keys revoked").waitFor();
  expect(posts).toEqual(["revoke"]);
  expect((await jobsOf("kind=batch_revoke")).length - before).toBe(1);
  expect(await jobsOf(`developer_id=${id}&kind=revoke`)).toHaveLength(2);
});

it("checks a vendor once", async () => {
  await goTo("/vendors/openai");
  const before = (await eventsOf("vendor.check", "openai")).length;
  await page.getByRole("button", { name: "Check now" }).dblclick();
  await page.getByText("The credential works").waitFor();
  expect(posts).toEqual(["check"]);
  expect((await eventsOf("vendor.check", "openai")).length - before).toBe(1);
});

it("retries a job once while it waits for another try, and makes one key of it", async () => {
  const { id } = await dashboard.developer("Twice Retried");
  await dashboard.control("openai", "POST", "/faults", {
    match: { method: "POST", path: "service_accounts$" },
    when: "before",
    do: { type: "respond", status: 503 },
    times: 0,
  });
  void dashboard.key(id).catch(() => {});
  const jobs = () => jobsOf(`developer_id=${id}`);
  // The tries come further and further apart, so that there is time for a person between two of them.
  const far = async () => Date.parse((await jobs())[0]?.next_try_at ?? "") > Date.now() + 5_000;
  await expect.poll(far, { timeout: 120_000 }).toBe(true);
  const [job] = await jobs();
  await goTo(`/jobs/${job?.id}`);
  await dashboard.control("openai", "DELETE", "/faults");
  await page.getByRole("button", { name: "Retry now" }).dblclick();
  await page.getByText("Succeeded", { exact: true }).first().waitFor();
  expect(posts).toEqual(["retry"]);
  expect(await eventsOf("job.retry", job?.id)).toHaveLength(1);
  expect(await bad()).toBe(0);
  const books = await dashboard.control<{ projects: { name: string }[] }>("openai", "GET", "/books");
  expect(books.projects.filter(({ name }) => name.includes("twice-retried"))).toHaveLength(1);
  expect(await dashboard.call<unknown[]>("GET", `/keys?developer_id=${id}&status=all`)).toHaveLength(1);
});
