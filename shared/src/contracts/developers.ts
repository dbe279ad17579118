import { z } from "zod";
import { pageQuery, personalName, searchText, Timestamp } from "./common.ts";
import { DeveloperId, JobId } from "./ids.ts";

export const developerRoles = ["developer", "admin", "owner", "viewer", "billing"] as const;
/** What a developer is in their organization. It grants nothing inside KeyGate. */
export const DeveloperRole = z.enum(developerRoles);
export type DeveloperRole = z.infer<typeof DeveloperRole>;

const email = z.string().trim().toLowerCase().max(320).pipe(z.email());
// An empty team is what clients send when they have none.
const team = z
  .string()
  .trim()
  .max(255)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, { message: "Must not contain control characters" })
  .transform((value) => (value === "" ? "default" : value));

export const CreateDeveloper = z
  .strictObject({
    name: personalName(255),
    email,
    team: team.default("default"),
    role: DeveloperRole.default("developer"),
  })
  .meta({ id: "CreateDeveloper" });

export const UpdateDeveloper = z
  .strictObject({ name: personalName(255).optional(), email: email.optional(), team: team.optional() })
  .refine((body) => Object.values(body).some((value) => value !== undefined), { message: "Nothing to change" })
  .meta({ id: "UpdateDeveloper" });

export const SetDeveloperRole = z.strictObject({ role: DeveloperRole }).meta({ id: "SetDeveloperRole" });

export const DeveloperView = z
  .object({
    id: DeveloperId,
    name: z.string(),
    email: z.string(),
    team: z.string(),
    role: DeveloperRole,
    is_active: z.boolean(),
    active_key_count: z.int(),
    vendors: z.array(z.string()),
    workspace_ids: z.array(z.string()),
    created_at: Timestamp,
  })
  .meta({ id: "Developer" });
export type DeveloperView = z.infer<typeof DeveloperView>;

export const DeveloperListQuery = z.strictObject({
  q: searchText.optional(),
  team: z.string().max(255).optional(),
  active_only: z
    .enum(["true", "false", "1", "0"])
    .default("true")
    .transform((value) => value === "true" || value === "1"),
  ...pageQuery,
});

export const DeactivateResult = z
  .object({ status: z.literal("deactivated"), keys_revoked: z.int(), job_id: JobId.nullable() })
  .meta({ id: "DeactivateResult" });
