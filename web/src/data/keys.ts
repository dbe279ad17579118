import type { KeyId } from "@keygate/shared/contracts/ids";
import {
  BatchResult,
  type BatchRevokeRequest,
  FoundKey,
  JobAccepted,
  KeyDetail,
  KeyView,
  keyStatuses,
  type ProvisionRequest,
  ProvisionResult,
  RevokeResult,
} from "@keygate/shared/contracts/keys";
import { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { apiGet, apiList, apiSend } from "../lib/api.ts";
import type { Receiver } from "../lib/receiver.ts";

/** Filters of the keys list, as the address bar holds them. */
export const KeySearch = z.object({
  q: z.string().optional().catch(undefined),
  vendor: VendorId.optional().catch(undefined),
  status: z
    .enum([...keyStatuses, "all"])
    .optional()
    .catch(undefined),
  developer_id: z.string().optional().catch(undefined),
  workspace_id: z.string().optional().catch(undefined),
  expires_within_days: z.int().min(1).max(365).optional().catch(undefined),
  cursor: z.string().optional().catch(undefined),
});
export type KeySearch = z.infer<typeof KeySearch>;

const pageSize = 50;

export const keysQuery = (search: KeySearch, limit: number = pageSize) =>
  queryOptions({
    queryKey: ["keys", "list", search, limit],
    queryFn: ({ signal }) => apiList("/keys", KeyView, { signal, query: { ...search, limit } }),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });

export const keyQuery = (id: KeyId) =>
  queryOptions({
    queryKey: ["keys", id],
    queryFn: ({ signal }) => apiGet(`/keys/${id}`, KeyDetail, { signal }),
    refetchInterval: ({ state }) =>
      state.data?.status === "pending" || state.data?.status === "revoking" ? 2_000 : 30_000,
  });

/** Every page of what is listed, for the export; `progress` hears how many there are so far. */
export async function allKeys(
  search: KeySearch,
  signal: AbortSignal,
  progress: (n: number) => void,
): Promise<KeyView[]> {
  const keys: KeyView[] = [];
  let cursor: string | undefined;
  do {
    const page = await apiList("/keys", KeyView, { signal, query: { ...search, cursor, limit: 500 } });
    keys.push(...page.items);
    progress(keys.length);
    cursor = page.next ?? undefined;
  } while (cursor);
  return keys;
}

const toReceiver = (receiver: Receiver) => ({ delivery: { public_key: receiver.publicKey } });

/** Asks for a key, sealed for this page. */
export const provisionKey = (
  body: Omit<z.input<typeof ProvisionRequest>, "delivery">,
  receiver: Receiver,
  idempotencyKey: string,
) =>
  apiSend("/keys/provision", z.union([JobAccepted, ProvisionResult]), {
    method: "POST",
    body: { ...body, ...toReceiver(receiver) },
    waitSeconds: 0,
    idempotencyKey,
  });

export const rotateKey = (id: KeyId, graceMinutes: number, receiver: Receiver, idempotencyKey: string) =>
  apiSend(`/keys/${id}/rotate`, z.union([JobAccepted, ProvisionResult]), {
    method: "POST",
    body: { grace_period_minutes: graceMinutes, ...toReceiver(receiver) },
    waitSeconds: 0,
    idempotencyKey,
  });

export const revokeKey = (id: KeyId, idempotencyKey: string) =>
  apiSend(`/keys/${id}/revoke`, z.union([RevokeResult, JobAccepted]), {
    method: "POST",
    body: {},
    waitSeconds: 0,
    idempotencyKey,
  });

export const revokeMany = (filter: z.input<typeof BatchRevokeRequest>, idempotencyKey: string) =>
  apiSend("/keys/revoke", BatchResult, { method: "POST", body: filter, waitSeconds: 0, idempotencyKey });

export const findBySecret = (text: string) =>
  apiSend("/keys/find-by-secret", FoundKey.array(), { method: "POST", body: { text } });
