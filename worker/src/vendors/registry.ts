import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { openai } from "./openai/adapter.ts";
import type { AnyVendor } from "./vendor.ts";

/** Every vendor's adapter. The compiler names whatever is missing. */
export const vendors = {
  openai,
} as const satisfies Record<VendorId, AnyVendor>;
