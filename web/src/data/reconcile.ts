import type { FindingId } from "@keygate/shared/contracts/ids";
import { JobView } from "@keygate/shared/contracts/jobs";
import { KeyView } from "@keygate/shared/contracts/keys";
import {
  type AdoptRequest,
  FindingKind,
  ReconcileAccepted,
  ReconcileReport,
} from "@keygate/shared/contracts/reconcile";
import { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { apiSend, nextCursorOf, read, request } from "../lib/api.ts";

export const FindingSearch = z.object({
  kind: FindingKind.optional().catch(undefined),
  vendor: VendorId.optional().catch(undefined),
  status: z.enum(["resolved", "all"]).optional().catch(undefined),
  cursor: z.string().optional().catch(undefined),
});
export type FindingSearch = z.infer<typeof FindingSearch>;

/** The newest look at each vendor and what was found. Looked at more often while one is under way. */
export const reconcileQuery = (search: FindingSearch, limit = 50) =>
  queryOptions({
    queryKey: ["reconcile", search, limit],
    queryFn: async ({ signal }) => {
      const response = await request("/reconcile", { signal, query: { ...search, limit } });
      return { ...(await read(response, ReconcileReport)), next: nextCursorOf(response) };
    },
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => (state.data?.runs.some((run) => run.state === "running") ? 2_000 : 20_000),
  });

export const lookNow = (vendor?: VendorId) =>
  apiSend("/reconcile", ReconcileAccepted, { method: "POST", body: vendor ? { vendor } : {} });

export const adoptFinding = (id: FindingId, body: z.input<typeof AdoptRequest>) =>
  apiSend(`/reconcile/${id}/adopt`, KeyView, { method: "POST", body });

export const removeFinding = (id: FindingId) =>
  apiSend(`/reconcile/${id}/remove`, JobView, { method: "POST", body: {} });
