import {
  CheckReport,
  ConfigureResult,
  type ConfigureVendor,
  RemoveVendorResult,
  VendorView,
} from "@keygate/shared/contracts/vendors";
import { type VendorId, vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import type { VendorContract } from "@keygate/shared/contracts/vendors/vendor-contract";
import { queryOptions } from "@tanstack/react-query";
import type { z } from "zod";
import { apiGet, apiSend } from "../lib/api.ts";

/** The vendor's data sheet. */
export const contractOf = (vendor: VendorId): VendorContract => vendorContracts[vendor];

export const vendorsQuery = queryOptions({
  queryKey: ["vendors"],
  queryFn: ({ signal }) => apiGet("/vendors", VendorView.array(), { signal }),
  // Whoever looks at a vendor that is slow or ill waits for it to be well again.
  refetchInterval: ({ state }) =>
    state.data?.some((view) => view.throttling.jobs_waiting > 0 || view.health.status === "unhealthy") ? 2_000 : 10_000,
});

export const configureVendor = (body: z.input<typeof ConfigureVendor>) =>
  apiSend("/vendors/configure", ConfigureResult, { method: "POST", body });
export const checkVendor = (vendor: VendorId) =>
  apiSend(`/vendors/${vendor}/check`, CheckReport, { method: "POST", body: {} });
export const removeVendor = (vendor: VendorId, force: boolean) =>
  apiSend(`/vendors/${vendor}`, RemoveVendorResult, { method: "DELETE", query: force ? { force: "true" } : {} });
