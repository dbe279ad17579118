import type { HttpBindings } from "@hono/node-server";
import type { JobId } from "@keygate/shared/contracts/ids";
import type { Actor } from "@keygate/shared/db/audit";
import type { Log } from "@keygate/shared/log";
import type { Principal } from "./principal.ts";

/** The `Idempotency-Key` of this request, taken for it. */
export interface Idempotency {
  /** The id of the user or service token: two of them may choose the same key. */
  actor: string;
  key: string;
  /** The job that an earlier request with this key made; the verb answers for it and makes no second one. */
  existingJobId: JobId | null;
}

/** What Hono's context carries. `actor` and `principal` are there behind the authentication only. */
export interface Env {
  Bindings: HttpBindings;
  Variables: {
    requestId: string;
    /** The client's address, as far as it is to be believed; null when there is no connection (tests). */
    address: string | null;
    actor: Actor;
    principal: Principal;
    /**
     * Whether the principal may still act as they might when the request came. Asked before something leaves for whoever
     * has waited; answers from memory within the first second.
     */
    stillHolds: () => Promise<boolean>;
    idempotency: Idempotency | null;
    log: Log;
  };
}
