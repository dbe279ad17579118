import { z } from "zod";
import { searchText } from "./common.ts";
import { DeveloperId, KeyId } from "./ids.ts";
import { KeyStatus } from "./keys.ts";
import { VendorId } from "./vendors/registry.ts";

export const SearchQuery = z.strictObject({
  q: searchText.meta({ description: "Part of a name, e-mail, key hint or project name; a full id works too" }),
  limit: z.coerce.number().int().min(1).max(50).default(8),
});

export const SearchResult = z
  .object({
    developers: z.array(
      z.object({ id: DeveloperId, name: z.string(), email: z.string(), team: z.string(), is_active: z.boolean() }),
    ),
    keys: z.array(
      z.object({
        id: KeyId,
        vendor: VendorId,
        status: KeyStatus,
        key_hint: z.string().nullable(),
        project_name: z.string(),
        developer_name: z.string(),
      }),
    ),
  })
  .meta({ id: "SearchResult" });
export type SearchResult = z.infer<typeof SearchResult>;
