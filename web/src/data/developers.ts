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
