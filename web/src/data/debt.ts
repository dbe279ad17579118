import { Debt } from "@keygate/shared/contracts/debt";
import type { JobId } from "@keygate/shared/contracts/ids";
import { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { apiList, apiSend } from "../lib/api.ts";

export const DebtSearch = z.object({
  vendor: VendorId.optional().catch(undefined),
  written_off: z.boolean().optional().catch(undefined),
  cursor: z.string().optional().catch(undefined),
});
export type DebtSearch = z.infer<typeof DebtSearch>;

export const debtQuery = ({ written_off, ...search }: DebtSearch, limit = 50) =>
  queryOptions({
    queryKey: ["debt", search, written_off ?? false, limit],
    queryFn: ({ signal }) =>
      apiList("/debt", Debt, {
        signal,
        query: { ...search, include_written_off: written_off ? "true" : "false", limit },
      }),
    placeholderData: keepPreviousData,
    refetchInterval: 5_000,
  });

export const retryDebt = (id: JobId) => apiSend(`/debt/${id}/retry`, Debt, { method: "POST", body: {} });

export const writeOffDebt = (id: JobId, reason: string) =>
  apiSend(`/debt/${id}/write-off`, Debt, { method: "POST", body: { reason } });
