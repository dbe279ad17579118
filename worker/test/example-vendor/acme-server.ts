import { createHash, randomBytes } from "node:crypto";
import {
  type SimContext,
  type SimRequest,
  type SimResponse,
  type SimVendor,
  startVendorServer,
} from "@keygate/simulator/core";
import { z } from "zod";

const Settings = z.object({
  /** For this long neither additions nor deletions show in lists. */
  list_lag_ms: z.int().min(0).default(0),
  scopes: z.array(z.string()).default(["projects:write"]),
});
const CreateProject = z.strictObject({ title: z.string().regex(/^[a-z0-9-]{1,40}$/) });
const SetBudget = z.strictObject({ monthly_budget_cents: z.int().min(1) });
const CreateKey = z.strictObject({
  title: z.string().regex(/^[a-z0-9-]{1,60}$/),
  expires_at: z.iso.datetime().nullable(),
});

interface Made {
  name: string;
  title: string;
  madeAt: number;
  goneAt: number | null;
}
interface Project extends Made {
  budgetCents: number | null;
}
interface Key extends Made {
  project: string;
  secret: string;
  expiresAt: string | null;
}

export interface AcmeBooks {
  projects: { name: string; title: string; budget_cents: number | null }[];
  keys: { name: string; title: string; secret_sha256: string }[];
}

export const acmeAdminToken = "acme-admin-SIMULATED-opens-nothing-real";
export const acmeOrgId = "o1";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const pageSize = 2;

class Refusal extends Error {
  readonly answer: SimResponse;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.answer = { status, body: { code, message } };
  }
}

/** A vendor as small as a vendor can be: one organization with projects, their budgets, and keys that are shown once. */
export function createAcme(): SimVendor {
  let projects: Project[] = [];
  let keys: Key[] = [];
  let made = 0;

  const isLive = (key: Key, now: number) =>
    key.goneAt === null && (key.expiresAt === null || Date.parse(key.expiresAt) > now);
  const viewOfProject = ({ name, title, budgetCents }: Project) => ({ name, title, monthly_budget_cents: budgetCents });
  const viewOfKey = ({ name, title, secret, expiresAt }: Key) => ({
    name,
    title,
    hint: `${secret.slice(0, 8)}…`,
    expires_at: expiresAt,
  });

  function pageOf<T extends Made>(all: T[], view: (item: T) => unknown, req: SimRequest, sim: SimContext): SimResponse {
    const at = sim.now() - Settings.parse(sim.settings).list_lag_ms;
    const shown = all.filter(({ madeAt, goneAt }) => madeAt <= at && (goneAt === null || goneAt > at));
    const from = Number(req.query.get("after") ?? 0);
    const next = from + pageSize < shown.length ? String(from + pageSize) : null;
    return { status: 200, body: { items: shown.slice(from, from + pageSize).map(view), next } };
  }

  function bodyOf<T>(req: SimRequest, sim: SimContext, schema: z.ZodType<T>): T {
    const read = schema.safeParse(req.json);
    if (read.success) return read.data;
    sim.violation(z.prettifyError(read.error));
    throw new Refusal(400, "invalid", "The body is not what this call takes.");
  }

  function one<T extends Made>(all: T[], name: string): T {
    const found = all.find((item) => item.name === name && item.goneAt === null);
    if (!found) throw new Refusal(404, "not_found", `There is no ${name}.`);
    return found;
  }

  function serve(req: SimRequest, sim: SimContext): SimResponse {
    const token = /^Bearer (\S+)$/.exec(req.headers.authorization ?? "")?.[1];
    if (req.path === "/v1/whoami") {
      if (keys.some((key) => key.secret === token && isLive(key, sim.now()))) return { status: 200, body: {} };
      throw new Refusal(401, "unknown_token", "The token is not known.");
    }
    if (token !== acmeAdminToken) throw new Refusal(401, "unknown_token", "The token is not known.");
    const parts = /^\/v1\/organizations\/(\w+)(?:\/(projects)(?:\/(\w+)(?:\/(keys|budget)(?:\/(\w+))?)?)?)?$/.exec(
      req.path,
    );
    const [, org, inProjects, projectId, part, keyId] = parts ?? [];
    if (org !== acmeOrgId) throw new Refusal(403, "wrong_organization", "The token belongs to another organization.");
    const name = `organizations/${org}/projects/${projectId}`;
    const base = { madeAt: sim.now(), goneAt: null };
    const route = `${req.method} ${[inProjects, projectId && "id", part, keyId && "id"].filter(Boolean).join("/")}`;
    const { scopes } = Settings.parse(sim.settings);
    if (req.method !== "GET" && !scopes.includes("projects:write")) {
      throw new Refusal(403, "missing_scope", "The token lacks the scope projects:write.");
    }
    switch (route) {
      case "GET ":
        return { status: 200, body: { scopes } };
      case "GET projects":
        return pageOf(projects, viewOfProject, req, sim);
      case "POST projects": {
        const { title } = bodyOf(req, sim, CreateProject);
        const project = { ...base, name: `organizations/${org}/projects/p${++made}`, title, budgetCents: null };
        projects.push(project);
        return { status: 200, body: viewOfProject(project) };
      }
      case "GET projects/id":
        return { status: 200, body: viewOfProject(one(projects, name)) };
      case "DELETE projects/id": {
        const doomed = one(projects, name);
        for (const each of [doomed, ...keys.filter((key) => key.project === name)]) each.goneAt ??= sim.now();
        return { status: 204 };
      }
      case "PUT projects/id/budget": {
        const project = one(projects, name);
        project.budgetCents = bodyOf(req, sim, SetBudget).monthly_budget_cents;
        return { status: 200, body: viewOfProject(project) };
      }
      case "GET projects/id/keys":
        return pageOf(
          keys.filter((key) => key.project === one(projects, name).name),
          viewOfKey,
          req,
          sim,
        );
      case "POST projects/id/keys": {
        const { title, expires_at } = bodyOf(req, sim, CreateKey);
        const secret = `acme-key-${randomBytes(30).toString("base64url")}`;
        const project = one(projects, name).name;
        const key = { ...base, name: `${name}/keys/k${++made}`, project, title, secret, expiresAt: expires_at };
        keys.push(key);
        return { status: 200, body: { ...viewOfKey(key), secret } };
      }
      case "GET projects/id/keys/id":
        return { status: 200, body: viewOfKey(one(keys, `${name}/keys/${keyId}`)) };
      case "DELETE projects/id/keys/id":
        one(keys, `${name}/keys/${keyId}`).goneAt = sim.now();
        return { status: 204 };
    }
    sim.violation(`there is no ${route}`);
    throw new Refusal(404, "no_such_call", "There is no such call.");
  }

  return {
    name: "acme",
    settings: Settings,
    handle(req, sim) {
      try {
        return serve(req, sim);
      } catch (error) {
        if (error instanceof Refusal) return error.answer;
        throw error;
      }
    },
    books: (sim): AcmeBooks => ({
      projects: projects
        .filter(({ goneAt }) => goneAt === null)
        .map(({ name, title, budgetCents }) => ({ name, title, budget_cents: budgetCents })),
      keys: keys
        .filter((key) => isLive(key, sim.now()))
        .map(({ name, title, secret }) => ({ name, title, secret_sha256: sha256(secret) })),
    }),
    reset() {
      projects = [];
      keys = [];
    },
  };
}

export const startAcme = () => startVendorServer(createAcme());
