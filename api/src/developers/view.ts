import type { DeveloperView } from "@keygate/shared/contracts/developers";
import type { DeveloperRow } from "@keygate/shared/db/developers";

/** A developer as the API shows them. */
export const developerView = ({ created_at, ...row }: DeveloperRow): DeveloperView => ({
  ...row,
  created_at: created_at.toISOString(),
});
