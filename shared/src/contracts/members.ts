import { z } from "zod";
import { CreateDeveloper, DeveloperView } from "./developers.ts";

/** Members are the developers under the name that existing clients use. */
export const InviteMember = z.strictObject({ ...CreateDeveloper.shape }).meta({ id: "InviteMember" });

export const MemberView = DeveloperView.extend({ status: z.enum(["active", "suspended"]) }).meta({ id: "Member" });
export type MemberView = z.infer<typeof MemberView>;
