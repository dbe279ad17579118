import { AuditEvent, AuditVerification } from "@keygate/shared/contracts/audit";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { apiGet, apiList } from "../lib/api.ts";

export const AuditSearch = z.object({
  action: z.string().optional().catch(undefined),
  actor: z.string().optional().catch(undefined),
  resource_id: z.string().optional().catch(undefined),
  since: z.string().optional().catch(undefined),
  until: z.string().optional().catch(undefined),
  cursor: z.string().optional().catch(undefined),
});
export type AuditSearch = z.infer<typeof AuditSearch>;

/** Days of the address bar as moments: from the beginning of the first to the end of the last, in local time. */
export function asMoments({ since, until, ...rest }: AuditSearch): AuditSearch {
  const from = since && new Date(`${since}T00:00:00`);
  const to = until && new Date(`${until}T00:00:00`);
  if (to) to.setDate(to.getDate() + 1);
  return { ...rest, ...(from ? { since: from.toISOString() } : {}), ...(to ? { until: to.toISOString() } : {}) };
}

export const auditQuery = (search: AuditSearch, limit: number = 50) =>
  queryOptions({
    queryKey: ["audit", search, limit],
    queryFn: ({ signal }) => apiList("/audit", AuditEvent, { signal, query: { ...asMoments(search), limit } }),
    placeholderData: keepPreviousData,
  });

/** Whether the log is whole; asked only by a person, since it reads all of it. */
export const auditVerifyQuery = queryOptions({
  queryKey: ["audit-verify"],
  queryFn: ({ signal }) => apiGet("/audit/verify", AuditVerification, { signal }),
  retry: false,
  enabled: false,
  gcTime: Number.POSITIVE_INFINITY,
});
