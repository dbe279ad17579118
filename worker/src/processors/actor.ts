import type { Actor } from "@keygate/shared/db/audit";
import type { JobRow } from "@keygate/shared/db/jobs";

/** Who asked for the job; the worker acts in their name. */
export const actorOf = (job: JobRow): Actor => ({
  name: job.requested_by,
  id: job.requested_by_id,
  ipAddress: job.ip_address,
});
