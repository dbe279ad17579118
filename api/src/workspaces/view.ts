import type { WorkspaceView } from "@keygate/shared/contracts/workspaces";
import type { WorkspaceRow } from "@keygate/shared/db/workspaces";
import { microsToDollars } from "@keygate/shared/money";

/** A workspace as the API shows it: dollars instead of micro-dollars. */
export const workspaceView = (row: WorkspaceRow): WorkspaceView => ({
  id: row.id,
  name: row.name,
  description: row.description,
  color: row.color,
  spend_limit: row.spend_limit_micros === null ? null : microsToDollars(row.spend_limit_micros),
  rate_limit_rpm: row.rate_limit_rpm,
  is_archived: row.is_archived,
  member_count: row.member_count,
  key_count: row.key_count,
  total_budget_allocated: microsToDollars(row.budget_micros),
  created_at: row.created_at.toISOString(),
});
