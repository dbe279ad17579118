import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { anthropic } from "./anthropic/adapter.ts";
import { azureOpenAi } from "./azure-openai/adapter.ts";
import { googleVertex } from "./google-vertex/adapter.ts";
import { openai } from "./openai/adapter.ts";
import type { AnyVendor } from "./vendor.ts";

/** Every vendor's adapter. The compiler names whatever is missing. */
export const vendors = {
  openai,
  anthropic,
  google_vertex: googleVertex,
  azure_openai: azureOpenAi,
} as const satisfies Record<VendorId, AnyVendor>;
