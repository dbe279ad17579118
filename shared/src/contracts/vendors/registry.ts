import { z } from "zod";
import { anthropic } from "./anthropic.ts";
import { azureOpenAi } from "./azure-openai.ts";
import { googleVertex } from "./google-vertex.ts";
import { openai } from "./openai.ts";
import type { VendorContract } from "./vendor-contract.ts";

/** Every vendor that KeyGate knows. A new one is one line here and one in the worker's registry. */
export const vendorContracts = {
  openai,
  anthropic,
  google_vertex: googleVertex,
  azure_openai: azureOpenAi,
} as const satisfies Record<string, VendorContract>;

export type VendorId = keyof typeof vendorContracts;

// Object.keys loses the literal types; the record above is the only source of its keys.
export const vendorIds = Object.keys(vendorContracts) as [VendorId, ...VendorId[]];

export const VendorId = z.enum(vendorIds).meta({ description: "A vendor", example: "openai" });
