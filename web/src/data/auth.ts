import { Me, PasswordChanged, SignedOut } from "@keygate/shared/contracts/auth";
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { apiGet, apiSend } from "../lib/api.ts";

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => apiGet("/auth/me", Me, { signal, isPublic: true }),
  staleTime: Number.POSITIVE_INFINITY,
  retry: false,
});

export const signIn = (body: { email: string; password: string }) =>
  apiSend("/auth/session", Me, { method: "POST", body, isPublic: true });

export const signOut = () => apiSend("/auth/session", SignedOut, { method: "DELETE", isPublic: true });

export const changePassword = (body: { current_password: string; new_password: string }) =>
  apiSend("/auth/password", PasswordChanged, { method: "POST", body });

export const healthQuery = queryOptions({
  queryKey: ["health"],
  queryFn: async ({ signal }) => {
    const response = await fetch("/health", { signal });
    return z.object({ version: z.string() }).parse(await response.json());
  },
  staleTime: Number.POSITIVE_INFINITY,
});
