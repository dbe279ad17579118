import { must } from "@keygate/shared/errors";
import type { WaitForInput } from "../src/saga/wait.ts";
import { type Job, startWorld, type World } from "./anthropic-support.ts";

export interface Stage {
  world: World;
  job: Job;
  waiting: WaitForInput;
  workspaceId: string;
}

/** A provisioning that waits for its key. */
export async function waitingJob(over: Parameters<World["job"]>[0] = {}): Promise<Stage> {
  const world = await startWorld();
  const job = world.job(over);
  const waiting = await job.untilWaiting();
  const ours = world.books().workspaces.find(({ tags }) => tags["keygate-job"] === job.key.jobId);
  return { world, job, waiting, workspaceId: must(ours, "workspace").id };
}

export const adminOf = (world: World) =>
  must(
    world.books().users.find(({ role }) => role === "admin"),
    "admin user",
  );
export const developerOf = (world: World) =>
  must(
    world.books().users.find(({ role }) => role === "developer"),
    "developer",
  );
/** What makes a key of the Console the personal one of a user. */
export const personal = (user: { id: string }) => ({
  principal: { type: "user_actor", user_id: user.id },
  created_by_user_id: user.id,
});
/** Well-formed, but nobody made it. */
export const fakeSecret = `sk-ant-api03-${"x".repeat(93)}AA`;
