import type { JobId } from "@keygate/shared/contracts/ids";
import type { JobView } from "@keygate/shared/contracts/jobs";
import type { JobRow } from "@keygate/shared/db/jobs";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { jobViews } from "./job-view.ts";
import { findJob, hasEnded } from "./wait-for-job.ts";

// Proxies cut a silent connection off after half a minute or more.
const heartbeatMs = 15_000;
// A batch's own row does not change while its children end, and a look that failed is repeated.
const relookMs = 1_000;

/** Wakes one listener; a ring that nobody was waiting for is kept. */
interface Bell {
  ring(): void;
  /** Whether it was rung since it was last heard; waits for that no longer than `ms`. */
  hear(ms: number): Promise<boolean>;
}

function createBell(): Bell {
  let isRung = false;
  let wake = () => {};
  return {
    ring() {
      isRung = true;
      wake();
    },
    async hear(ms: number): Promise<boolean> {
      if (!isRung) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(resolve, ms);
        await promise;
        clearTimeout(timer);
      }
      const wasRung = isRung;
      isRung = false;
      return wasRung;
    },
  };
}

/** The job as it is now; null when the database could not say. */
async function look(deps: ApiDeps, id: JobId): Promise<JobView | null> {
  try {
    const [view = null] = await jobViews(deps.db, [await findJob(deps, id)], deps.clock());
    return view;
  } catch (error) {
    deps.log.warn({ error, jobId: id }, "job.events_look_failed");
    return null;
  }
}

/** Server-sent events: `job` with the job's view at first and at every change, until the job or the session has ended. */
export function streamJobEvents(c: Context<Env>, deps: ApiDeps, job: JobRow): Response {
  c.header("X-Accel-Buffering", "no");
  const { stillHolds } = c.var;
  return streamSSE(c, async (stream) => {
    const bell = createBell();
    let isClosing = false;
    const unsubscribe = deps.jobWatcher.subscribe(job.id, bell.ring, () => {
      isClosing = true;
      bell.ring();
    });
    stream.onAbort(bell.ring);
    try {
      await sendChanges(deps, job, { bell, stream, isOver: () => isClosing || stream.aborted, stillHolds });
    } finally {
      unsubscribe();
    }
  });
}

interface Listener {
  bell: Bell;
  stream: SSEStreamingApi;
  isOver(): boolean;
  /** See `Env`. */
  stillHolds(): Promise<boolean>;
}

async function sendChanges(deps: ApiDeps, job: JobRow, { bell, stream, isOver, stillHolds }: Listener): Promise<void> {
  let sent = "";
  let wroteAt = performance.now();
  let mustLookAgain = job.kind === "batch_revoke";
  while (true) {
    const isRung = await bell.hear(mustLookAgain ? relookMs : heartbeatMs);
    if (isOver()) return;
    // A stream outlives a request: nothing more goes out to a session that was ended.
    if (!(await stillHolds())) return;
    if (isRung || mustLookAgain) {
      const view = await look(deps, job.id);
      mustLookAgain = view === null || job.kind === "batch_revoke";
      const data = view ? JSON.stringify(view) : sent;
      if (data !== sent) {
        await stream.writeSSE({ event: "job", data });
        sent = data;
        wroteAt = performance.now();
      }
      if (view && hasEnded({ state: view.status })) return;
    }
    if (performance.now() - wroteAt >= heartbeatMs) {
      await stream.write(": still here\n\n");
      wroteAt = performance.now();
    }
  }
}
