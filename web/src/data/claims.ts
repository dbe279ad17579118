import { ClaimChallenge, ClaimDisputed, ClaimView } from "@keygate/shared/contracts/claims";
import type { JobId } from "@keygate/shared/contracts/ids";
import { ProvisionResult } from "@keygate/shared/contracts/keys";
import { queryOptions } from "@tanstack/react-query";
import { apiGet, apiSend } from "../lib/api.ts";

export const claimQuery = (id: JobId) =>
  queryOptions({
    queryKey: ["claims", id],
    queryFn: ({ signal }) => apiGet(`/claims/${id}`, ClaimView, { signal, isPublic: true }),
    refetchInterval: ({ state }) => (state.data?.state === "preparing" ? 2_000 : 20_000),
  });

const isPublic = true;

/** Shows that this page holds the private half, without sending it. */
export async function proofFor(id: JobId, open: (jwe: string) => Promise<string>): Promise<string> {
  const { challenge } = await apiSend(`/claims/${id}/challenge`, ClaimChallenge, {
    method: "POST",
    body: {},
    isPublic,
  });
  return open(challenge);
}

export const claimWithProof = (id: JobId, proof: string) =>
  apiSend(`/jobs/${id}/claim`, ProvisionResult, { method: "POST", body: { proof }, waitSeconds: 10, isPublic });

export const disputeClaim = (id: JobId, proof: string) =>
  apiSend(`/claims/${id}/dispute`, ClaimDisputed, { method: "POST", body: { proof }, isPublic });
