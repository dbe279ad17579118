import {
  type CreateDeveloper,
  DeactivateResult,
  DeveloperView,
  type UpdateDeveloper,
} from "@keygate/shared/contracts/developers";
import type { DeveloperId } from "@keygate/shared/contracts/ids";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { apiGet, apiList, apiSend } from "../lib/api.ts";

export const DeveloperSearch = z.object({
  q: z.string().optional().catch(undefined),
  team: z.string().optional().catch(undefined),
  inactive: z.boolean().optional().catch(undefined),
  cursor: z.string().optional().catch(undefined),
});
export type DeveloperSearch = z.infer<typeof DeveloperSearch>;

export const developersQuery = ({ inactive, ...search }: DeveloperSearch, limit: number = 50) =>
  queryOptions({
    queryKey: ["developers", "list", search, inactive ?? false, limit],
    queryFn: ({ signal }) =>
      apiList("/developers", DeveloperView, { signal, query: { ...search, active_only: !inactive, limit } }),
    placeholderData: keepPreviousData,
  });

const pagesMax = 20;

/** The e-mail addresses of everybody who is registered, deactivated ones too; of the newest 10,000 at most. */
export async function knownEmails(): Promise<Set<string>> {
  const emails = new Set<string>();
  let cursor: string | undefined;
  for (let page = 0; page < pagesMax; page++) {
    const found = await apiList("/developers", DeveloperView, { query: { active_only: false, limit: 500, cursor } });
    for (const { email } of found.items) emails.add(email);
    if (!found.next) break;
    cursor = found.next;
  }
  return emails;
}

export const developerQuery = (id: DeveloperId) =>
  queryOptions({
    queryKey: ["developers", id],
    queryFn: ({ signal }) => apiGet(`/developers/${id}`, DeveloperView, { signal }),
  });

export const createDeveloper = (body: z.input<typeof CreateDeveloper>, idempotencyKey?: string) =>
  apiSend("/developers", DeveloperView, { method: "POST", body, ...(idempotencyKey ? { idempotencyKey } : {}) });

export const changeDeveloper = (id: DeveloperId, body: z.input<typeof UpdateDeveloper>) =>
  apiSend(`/developers/${id}`, DeveloperView, { method: "PATCH", body });

export const deactivateDeveloper = (id: DeveloperId) =>
  apiSend(`/developers/${id}`, DeactivateResult, { method: "DELETE", waitSeconds: 0 });
