import { z } from "zod";
import { Dollars, pageQuery, personalName, Timestamp } from "./common.ts";
import { DeveloperId, WorkspaceId } from "./ids.ts";

const color = z.string().regex(/^#[0-9a-fA-F]{6}$/, { message: "Must be a colour like #6C5BB9" });
const spendLimit = z.number().min(0.01).max(100_000_000).multipleOf(0.01).nullable();
const rateLimit = z.int().min(1).max(10_000_000).nullable();
const description = z
  .string()
  .trim()
  .max(1000)
  .regex(/^[^\0]*$/, { message: "Must not contain NUL" });

export const CreateWorkspace = z
  .strictObject({
    name: personalName(255),
    description: description.default(""),
    color: color.default("#6366F1"),
    spend_limit: spendLimit
      .default(null)
      .meta({ description: "US dollars a month: the sum of its keys' budgets may not pass it" }),
    rate_limit_rpm: rateLimit.default(null).meta({ description: "No key of the workspace may have more" }),
  })
  .meta({ id: "CreateWorkspace" });

export const UpdateWorkspace = z
  .strictObject({
    name: personalName(255).optional(),
    description: description.optional(),
    color: color.optional(),
    spend_limit: spendLimit.optional(),
    rate_limit_rpm: rateLimit.optional(),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), { message: "Nothing to change" })
  .meta({ id: "UpdateWorkspace" });

export const WorkspaceView = z
  .object({
    id: WorkspaceId,
    name: z.string(),
    description: z.string(),
    color: z.string(),
    spend_limit: Dollars.nullable(),
    rate_limit_rpm: z.int().nullable(),
    is_archived: z.boolean(),
    member_count: z.int(),
    key_count: z.int(),
    total_budget_allocated: Dollars,
    created_at: Timestamp,
  })
  .meta({ id: "Workspace" });
export type WorkspaceView = z.infer<typeof WorkspaceView>;

export const WorkspaceListQuery = z.strictObject({
  include_archived: z
    .enum(["true", "false", "1", "0"])
    .default("false")
    .transform((value) => value === "true" || value === "1"),
  ...pageQuery,
});

export const workspaceRoles = ["member", "admin", "viewer"] as const;
export const WorkspaceRole = z.enum(workspaceRoles);

export const AddWorkspaceMember = z
  .strictObject({ developer_id: DeveloperId, role: WorkspaceRole.default("member") })
  .meta({ id: "AddWorkspaceMember" });
export const SetWorkspaceRole = z.strictObject({ role: WorkspaceRole }).meta({ id: "SetWorkspaceRole" });

export const WorkspaceMemberView = z
  .object({
    developer_id: DeveloperId,
    name: z.string(),
    email: z.string(),
    role: WorkspaceRole,
    is_active: z.boolean(),
    joined_at: Timestamp,
  })
  .meta({ id: "WorkspaceMember" });
