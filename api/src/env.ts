import type { HttpBindings } from "@hono/node-server";
import type { JobId } from "@keygate/shared/contracts/ids";
import type { Actor } from "@keygate/shared/db/audit";
import type { UserRow } from "@keygate/shared/db/users";
import type { Log } from "@keygate/shared/log";

/** The `Idempotency-Key` of this request, taken for it. */
export interface Idempotency {
  /** The id of the user: two people may choose the same key. */
  actor: string;
  key: string;
  /** The job that an earlier request with this key made; the verb answers for it and makes no second one. */
  existingJobId: JobId | null;
}

/** What Hono's context carries. `actor` and `user` are there behind the authentication only. */
export interface Env {
  Bindings: HttpBindings;
  Variables: {
    requestId: string;
    /** The client's address, as far as it is to be believed; null when there is no connection (tests). */
    address: string | null;
    actor: Actor;
    user: UserRow;
    idempotency: Idempotency | null;
    log: Log;
  };
}
