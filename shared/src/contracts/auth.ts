import { z } from "zod";
import { Timestamp } from "./common.ts";
import { UserId } from "./ids.ts";

export const userRoles = ["owner", "admin", "auditor"] as const;
/** Of those who use KeyGate itself: an auditor only reads, an owner may also manage users. */
export const UserRole = z.enum(userRoles);
export type UserRole = z.infer<typeof UserRole>;

export const LoginRequest = z
  .strictObject({ email: z.string().trim().min(1).max(320), password: z.string().min(1).max(1024) })
  .meta({ id: "LoginRequest" });

export const LoginResult = z
  .object({ access_token: z.string(), token_type: z.literal("bearer") })
  .meta({ id: "LoginResult" });

/** Length is what counts; composition rules only make passwords worse (NIST SP 800-63B, 5.1.1.2). */
export const NewPassword = z.string().min(12, { message: "Must be 12 characters or more" }).max(1024);

export const ChangePassword = z
  .strictObject({ current_password: z.string().min(1).max(1024), new_password: NewPassword })
  .meta({ id: "ChangePassword" });

export const PasswordChanged = z.object({ status: z.literal("changed") }).meta({ id: "PasswordChanged" });
export const SignedOut = z.object({ status: z.literal("signed_out") }).meta({ id: "SignedOut" });

export const Me = z.object({ id: UserId, email: z.string(), role: UserRole, created_at: Timestamp }).meta({ id: "Me" });
export type Me = z.infer<typeof Me>;
