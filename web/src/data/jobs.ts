import type { JobId } from "@keygate/shared/contracts/ids";
import { isFinal, JobDetail, JobKind, JobState, JobView } from "@keygate/shared/contracts/jobs";
import { ProvisionResult } from "@keygate/shared/contracts/keys";
import { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { z } from "zod";
import { apiGet, apiList, apiSend, request } from "../lib/api.ts";
import type { Receiver } from "../lib/receiver.ts";
import { queryClient } from "./query-client.ts";

export const JobSearch = z.object({
  status: JobState.optional().catch(undefined),
  kind: JobKind.optional().catch(undefined),
  vendor: VendorId.optional().catch(undefined),
  key_id: z.string().optional().catch(undefined),
  developer_id: z.string().optional().catch(undefined),
  parent_id: z.string().optional().catch(undefined),
  cursor: z.string().optional().catch(undefined),
});
export type JobSearch = z.infer<typeof JobSearch>;

export const jobsQuery = (search: JobSearch, limit: number = 50) =>
  queryOptions({
    queryKey: ["jobs", "list", search, limit],
    queryFn: ({ signal }) => apiList("/jobs", JobView, { signal, query: { ...search, limit } }),
    placeholderData: keepPreviousData,
    refetchInterval: 4_000,
  });

export const jobQuery = (id: JobId) =>
  queryOptions({
    queryKey: ["jobs", id],
    queryFn: ({ signal }) => apiGet(`/jobs/${id}`, JobDetail, { signal }),
    // Where events do not come through (a proxy that holds them back), looking every two seconds does. A key that waits
    // may be taken by whoever has its link.
    refetchInterval: ({ state: { data } }) => {
      if (!data || !isFinal(data.status)) return 2_000;
      return data.claim?.available ? 3_000 : false;
    },
  });

/** The lines of a stream of server-sent events, as they come. */
async function* dataLines(response: Response): AsyncGenerator<string> {
  if (!response.body) return;
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5);
  }
}

/** Follows a job's events while somebody looks at it, and reads the job again at each. */
const jobEventsQuery = (id: JobId, isOver: boolean) =>
  queryOptions({
    queryKey: ["job-events", id],
    queryFn: async ({ signal }) => {
      const response = await request(`/jobs/${id}/events`, { signal, accept: "text/event-stream" });
      let events = 0;
      for await (const _line of dataLines(response)) {
        events++;
        await queryClient.invalidateQueries({ queryKey: ["jobs", id] });
      }
      return events;
    },
    enabled: !isOver,
    retry: false,
    gcTime: 0,
    staleTime: 0,
    refetchOnWindowFocus: false,
  });

/** A job that is kept up to date by its events. */
export function useLiveJob(id: JobId) {
  const job = useQuery(jobQuery(id));
  useQuery(jobEventsQuery(id, job.isError || (job.data !== undefined && isFinal(job.data.status))));
  return job;
}

const steer = (how: "retry" | "cancel") => (id: JobId) =>
  apiSend(`/jobs/${id}/${how}`, JobView, { method: "POST", body: {} });
export const retryJob = steer("retry");
export const cancelJob = steer("cancel");

export const giveInput = (id: JobId, apiKey: string) =>
  apiSend(`/jobs/${id}/input`, JobView, { method: "POST", body: { api_key: apiKey } });

/** From now on the key is sealed for this page. */
export const nameReceiver = (id: JobId, receiver: Receiver) =>
  apiSend(`/jobs/${id}/receiver`, JobView, { method: "PUT", body: { public_key: receiver.publicKey } });

/** Takes the sealed key, once; called by its one user and kept in no cache. */
export const claimSealed = (id: JobId) =>
  apiSend(`/jobs/${id}/claim`, ProvisionResult, { method: "POST", body: {}, waitSeconds: 10 });
