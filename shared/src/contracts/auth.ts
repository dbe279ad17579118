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

export const Me = z.object({ id: UserId, email: z.string(), role: UserRole, created_at: Timestamp }).meta({ id: "Me" });
