import { z } from "zod";
import { NewPassword, UserRole } from "./auth.ts";
import { pageQuery, Timestamp } from "./common.ts";
import { UserId } from "./ids.ts";

/** What a one-time link is for: following an invitation, or setting a new password. */
export const LinkPurpose = z.enum(["join", "reset_password"]);
export type LinkPurpose = z.infer<typeof LinkPurpose>;

/** Invited: has not set a password yet; removed: can no longer sign in, and stays in the audit log. */
export const UserStatus = z.enum(["invited", "active", "removed"]);

export const UserView = z
  .object({
    id: UserId,
    email: z.string(),
    role: UserRole,
    status: UserStatus,
    created_at: Timestamp,
    /** When they set their first password. */
    joined_at: Timestamp.nullable(),
    /** Of the last 30 days or more; null when they never signed in with a password. */
    last_sign_in_at: Timestamp.nullable(),
    /** A one-time link that nobody used yet; the link itself was shown once. */
    open_link: z.object({ purpose: LinkPurpose, expires_at: Timestamp }).nullable(),
  })
  .meta({ id: "User" });
export type UserView = z.infer<typeof UserView>;

const flag = z.enum(["true", "false", "1", "0"]);

export const UserListQuery = z.strictObject({
  ...pageQuery,
  include_removed: flag.default("false").transform((value) => value === "true" || value === "1"),
});
export type UserListQuery = z.infer<typeof UserListQuery>;

const LinkHours = z
  .int()
  .min(1)
  .max(7 * 24)
  .default(72)
  .meta({ description: "How long the link works, in hours; a week at most" });

export const InviteUser = z
  .strictObject({
    email: z.string().trim().toLowerCase().pipe(z.email().max(320)),
    role: UserRole,
    expires_in_hours: LinkHours,
  })
  .meta({ id: "InviteUser" });

export const CreateUserLink = z.strictObject({ expires_in_hours: LinkHours }).meta({ id: "CreateUserLink" });

/** The one time that the link is shown. */
export const UserLink = z
  .object({
    user: UserView,
    purpose: LinkPurpose,
    one_time_link: z
      .string()
      .nullable()
      .meta({ description: "A path when PUBLIC_URL is not set; null when an Idempotency-Key repeats the answer" }),
    expires_at: Timestamp,
  })
  .meta({ id: "UserLink" });
export type UserLink = z.infer<typeof UserLink>;

export const SetUserRole = z.strictObject({ role: UserRole }).meta({ id: "SetUserRole" });

export const RemoveUserQuery = z.strictObject({
  keep_tokens: flag
    .default("false")
    .transform((value) => value === "true" || value === "1")
    .meta({ description: "Leave the service tokens that they made working" }),
});

export const RemoveUserResult = z
  .object({ status: z.literal("removed"), user_id: UserId, tokens_revoked: z.int() })
  .meta({ id: "RemoveUserResult" });

const LinkToken = z.string().min(1).max(200).meta({ description: "What stands behind the # of the link" });

export const InspectLink = z.strictObject({ link_token: LinkToken }).meta({ id: "InspectLink" });

export const LinkInfo = z
  .object({ purpose: LinkPurpose, email: z.string(), role: UserRole, invited_by: z.string(), expires_at: Timestamp })
  .meta({ id: "LinkInfo" });
export type LinkInfo = z.infer<typeof LinkInfo>;

export const UseLink = z.strictObject({ link_token: LinkToken, new_password: NewPassword }).meta({ id: "UseLink" });

export const LinkUsed = z.object({ status: z.literal("password_set"), email: z.string() }).meta({ id: "LinkUsed" });
