import type { ServiceTokenId } from "@keygate/shared/contracts/ids";
import {
  CreatedServiceToken,
  type CreateServiceToken,
  RevokeTokenResult,
  ServiceTokenView,
} from "@keygate/shared/contracts/tokens";
import { queryOptions } from "@tanstack/react-query";
import type { z } from "zod";
import { apiList, apiSend } from "../lib/api.ts";

export const tokensQuery = (status: "active" | "all") =>
  queryOptions({
    queryKey: ["tokens", status],
    queryFn: ({ signal }) => apiList("/tokens", ServiceTokenView, { signal, query: { status, limit: 500 } }),
  });

export const createServiceToken = (body: z.input<typeof CreateServiceToken>) =>
  apiSend("/tokens", CreatedServiceToken, { method: "POST", body });
export const revokeServiceToken = (id: ServiceTokenId) =>
  apiSend(`/tokens/${id}`, RevokeTokenResult, { method: "DELETE" });
