import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { DeveloperView } from "@keygate/shared/contracts/developers";
import { type Browser, type BrowserContext, type Cookie, chromium, type Page } from "playwright-core";
import { vi } from "vitest";
import { chromiumHint, installChromium } from "../../embedded/src/chromium.ts";
import { type Stack, startStack } from "../../embedded/src/stack.ts";
import { createTestDatabase } from "../../embedded/test-support/database.ts";

// Machines that run this are shared: a page that is slow is not a page that is wrong.
const actionMs = 60_000;
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const web = join(import.meta.dirname, "..");

async function newest(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Math.max(0, ...(await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs))));
}

const isFresh = async () => {
  const built = await stat(join(web, "dist/index.html")).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  const sources = [join(web, "src"), join(web, "public"), join(web, "../shared/src/contracts")];
  return built > Math.max(...(await Promise.all(sources.map(newest))));
};

/** The dashboard as its sources stand. Of several test files that start at once, one builds it. */
async function buildDashboard(): Promise<void> {
  const lock = join(web, "dist.lock");
  for (let tries = 0; !(await isFresh()); tries++) {
    const isMine = await mkdir(lock).then(
      () => true,
      () => false,
    );
    if (!isMine) {
      // A lock of a run that was killed is not waited for without end.
      if (tries > 240) await rm(lock, { recursive: true, force: true });
      await sleep(250);
      continue;
    }
    try {
      // As a process of its own: a test runner's NODE_ENV would make it a development build.
      const vite = join(web, "../node_modules/vite/bin/vite.js");
      const env = { ...process.env, NODE_ENV: "production" };
      await promisify(execFile)(process.execPath, [vite, "build", web, "--logLevel", "error"], { env });
    } finally {
      await rm(lock, { recursive: true, force: true });
    }
  }
}

export interface Dashboard {
  url: string;
  stack: Stack;
  home: string;
  browser: Browser;
  /** A window of its own, as somebody else has one. */
  open(options?: Parameters<Browser["newContext"]>[0]): Promise<{ page: Page; context: BrowserContext }>;
  /** The same, signed in as the admin; windows share a session, as one browser's do. */
  signedIn(options?: Parameters<Browser["newContext"]>[0]): Promise<{ page: Page; context: BrowserContext }>;
  signIn(page: Page): Promise<void>;
  /** The API, as a script would call it. */
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  developer(name: string): Promise<DeveloperView>;
  /** A key of the developer, made and taken over the API. */
  key(developerId: string, vendor?: string): Promise<{ key_id: string; api_key: string; key_hint: string }>;
  /** Steers a simulated vendor. */
  /** An admin's own call to simulated OpenAI, past KeyGate. */
  atOpenAi<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  control<T = unknown>(vendor: "openai" | "anthropic", method: string, path: string, body?: unknown): Promise<T>;
  close(): Promise<void>;
}

const args =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

/** All of KeyGate with a fresh database and simulated vendors, and a browser that looks at it. */
export async function openDashboard(env: Record<string, string> = {}): Promise<Dashboard> {
  const executablePath = await installChromium();
  if (!executablePath) throw new Error(chromiumHint);
  await buildDashboard();
  const home = await mkdtemp(join(tmpdir(), "keygate-web-"));
  const database = await createTestDatabase();
  const stack = await startStack({
    home,
    env: { PORT: "0", DATABASE_URL: database.url, VENDOR_SETTLE_SECONDS: "0", ...env },
    say: () => {},
  });
  const browser = await chromium.launch({ executablePath, args: args.split(" ") });
  const { url, admin } = stack;
  let token = "";

  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  };
  token = (await call<{ access_token: string }>("POST", "/auth/login", admin)).access_token;

  const open: Dashboard["open"] = async (options) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
    context.setDefaultTimeout(actionMs);
    return { context, page: await context.newPage() };
  };
  // One session for all windows of a file: signing in costs a password hash each time, and is tested on its own.
  let cookies: Cookie[] = [];
  const signIn = async (page: Page) => {
    await page.goto(`${url}/sign-in`);
    await page.getByLabel("E-mail").fill(admin.email);
    await page.getByLabel("Password").fill(admin.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
  };

  return {
    url,
    stack,
    home,
    browser,
    open,
    signIn,
    async signedIn(options) {
      const opened = await open(options);
      const { page, context } = opened;
      if (cookies.length > 0) {
        await context.addCookies(cookies);
        await page.goto(url);
        await page.getByRole("heading", { name: /^(Overview|Sign in to KeyGate)$/ }).waitFor();
      }
      if (page.url().includes("/sign-in") || cookies.length === 0) await signIn(page);
      cookies = await context.cookies();
      return opened;
    },
    call,
    developer: (name) =>
      call("POST", "/developers", {
        name,
        email: `${name.toLowerCase().replaceAll(" ", ".")}@example.com`,
        team: "research",
      }),
    key: (developerId, vendor = "openai") => call("POST", "/keys/provision", { developer_id: developerId, vendor }),
    async atOpenAi<T>(method: string, path: string, body?: unknown) {
      const { OPENAI_BASE_URL: base, OPENAI_ADMIN_KEY: key } = stack.simulator.env;
      const response = await fetch(`${base}/organization${path}`, {
        method,
        headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    async control<T>(vendor: "openai" | "anthropic", method: string, path: string, body?: unknown) {
      const response = await fetch(new URL(`/_control${path}`, stack.simulator.vendors[vendor].url), {
        method,
        headers: { "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return (await response.json()) as T;
    },
    async close() {
      await browser.close();
      await stack.stop();
      await database.drop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Everything that api and worker wrote into their logs. */
export async function logsOf({ home }: Dashboard): Promise<string> {
  const dir = join(home, "logs");
  return (await Promise.all((await readdir(dir)).map((name) => readFile(join(dir, name), "utf8")))).join("\n");
}

/** Fills the form of a new key and sends it. */
export async function askForKey(
  page: Page,
  {
    url,
    developerId,
    vendor = "OpenAI",
    by = "page",
  }: { url: string; developerId: string; vendor?: string; by?: "page" | "link" },
): Promise<void> {
  await page.goto(`${url}/keys/new?developer=${developerId}`);
  await page.getByRole("radio", { name: vendor, exact: true }).check();
  if (by === "link") await page.getByRole("radio", { name: /Send a link/ }).check();
  await page.getByRole("button", { name: "Make the key" }).click();
  await page.waitForURL("**/handover/**");
}
