import type { UserView } from "@keygate/shared/contracts/users";
import type { ListedUser } from "@keygate/shared/db/users";

/** A user as the API shows them. */
export const userView = (row: ListedUser): UserView => ({
  id: row.id,
  email: row.email,
  role: row.role,
  status: row.is_active ? (row.joined_at ? "active" : "invited") : "removed",
  created_at: row.created_at.toISOString(),
  joined_at: row.joined_at?.toISOString() ?? null,
  last_sign_in_at: row.last_sign_in_at?.toISOString() ?? null,
  open_link:
    row.link_purpose && row.link_expires_at
      ? { purpose: row.link_purpose, expires_at: row.link_expires_at.toISOString() }
      : null,
});
