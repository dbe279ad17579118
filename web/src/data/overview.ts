import { SearchResult } from "@keygate/shared/contracts/search";
import { DashboardStats } from "@keygate/shared/contracts/stats";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { apiGet } from "../lib/api.ts";

export const statsQuery = queryOptions({
  queryKey: ["stats"],
  queryFn: ({ signal }) => apiGet("/dashboard/stats", DashboardStats, { signal }),
  refetchInterval: 10_000,
});

export const searchQuery = (q: string, limit = 8) =>
  queryOptions({
    queryKey: ["search", q, limit],
    queryFn: ({ signal }) => apiGet("/search", SearchResult, { signal, query: { q, limit } }),
    enabled: q.trim().length >= 2,
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  });
