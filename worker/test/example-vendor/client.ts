import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import { z } from "zod";
import type { VendorHttp } from "../../src/vendors/http.ts";
import { classifyAcme, isGone } from "./errors.ts";

// Acme's names are paths, so what they may consist of is checked before one becomes part of an address.
const ProjectName = z.string().regex(/^organizations\/\w+\/projects\/\w+$/);
const KeyName = z.string().regex(/^organizations\/\w+\/projects\/\w+\/keys\/\w+$/);
const Project = z.object({ name: ProjectName, title: z.string(), monthly_budget_cents: z.int().nullable() });
const Key = z.object({ name: KeyName, title: z.string(), hint: z.string(), expires_at: z.string().nullable() });
const CreatedKey = Key.extend({
  secret: z
    .string()
    .min(16)
    .transform((text) => new Secret(text)),
});
const pageOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), next: z.string().nullable() });

export type AcmeProject = z.infer<typeof Project>;
export type AcmeKey = z.infer<typeof Key>;
export type AcmeClient = ReturnType<typeof createAcmeClient>;

export interface AcmeConnection {
  http: VendorHttp;
  baseUrl: string;
  orgId: string;
  adminToken: Secret;
}

const pagesMax = 100;

/** Speaks HTTP with Acme. Every call is made once; lists are read to their end. */
export function createAcmeClient({ http, baseUrl, orgId, adminToken }: AcmeConnection) {
  const headers = { authorization: `Bearer ${adminToken.reveal()}` };
  const organization = `organizations/${encodeURIComponent(orgId)}`;

  async function call<T>(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    expect: z.ZodType<T>,
    body?: unknown,
  ): Promise<T> {
    // What Acme counts together: `POST projects`, `GET keys` and so on.
    const kind = /(projects|keys|budget)(?:\/\w+)?(?:\?.*)?$/.exec(path)?.[1] ?? "organization";
    const url = `${baseUrl}/${path}`;
    const sent = body === undefined ? {} : { body };
    return (await http.call({ method, url, headers, endpoint: `${method} ${kind}`, expect, ...sent }, classifyAcme))
      .body;
  }

  async function list<T>(path: string, item: z.ZodType<T>): Promise<T[]> {
    const items: T[] = [];
    let after: string | null = null;
    for (let page = 0; page < pagesMax; page++) {
      const answer: { items: T[]; next: string | null } = await call(
        "GET",
        after ? `${path}?after=${encodeURIComponent(after)}` : path,
        pageOf(item),
      );
      items.push(...answer.items);
      if (answer.next === null) return items;
      after = answer.next;
    }
    throw new KeyGateError("vendor.unexpected", { detail: `Acme's list did not end within ${pagesMax} pages.` });
  }

  async function orGone<T>(promise: Promise<T>): Promise<T | null> {
    try {
      return await promise;
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  const anything = z.unknown();

  return {
    baseUrl,
    organization: () => call("GET", organization, z.object({ scopes: z.array(z.string()) })),
    createProject: (title: string) => call("POST", `${organization}/projects`, Project, { title }),
    listProjects: () => list(`${organization}/projects`, Project),
    projectsPage: (after: string | null) =>
      call("GET", `${organization}/projects${after ? `?after=${encodeURIComponent(after)}` : ""}`, pageOf(Project)),
    getProject: (project: string) => orGone(call("GET", project, Project)),
    /** Takes its keys along. */
    deleteProject: (project: string) => orGone(call("DELETE", project, anything)),
    setBudget: (project: string, cents: number) =>
      call("PUT", `${project}/budget`, Project, { monthly_budget_cents: cents }),
    createKey: (project: string, title: string, expiresAt: Date | null) =>
      call("POST", `${project}/keys`, CreatedKey, { title, expires_at: expiresAt?.toISOString() ?? null }),
    listKeys: (project: string) => orGone(list(`${project}/keys`, Key)),
    getKey: (key: string) => orGone(call("GET", key, Key)),
    deleteKey: (key: string) => orGone(call("DELETE", key, anything)),
  };
}
