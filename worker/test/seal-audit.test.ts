import { verifyLog } from "@keygate/shared/audit/verify-log";
import { systemActor, writeAudit } from "@keygate/shared/db/audit";
import { Secret } from "@keygate/shared/secret";
import { afterEach, expect, it } from "vitest";
import { type Backend, createHarness, type Harness } from "./harness.ts";

let world: Harness;
const workers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
  await world?.close();
});

const settings = {
  vendor: "openai",
  version: 1,
  adminKey: new Secret("sk-admin-never-used-0123456789"),
  orgId: null,
  extra: {},
  simulated: true,
} as const;

it.each<Backend>(["redis", "postgres"])(
  "workers on the %s queue seal what is written within seconds",
  async (backend) => {
    world = await createHarness({ backend, settings });
    workers.push(world.start(), world.start());
    const { db, keyring } = world.deps;
    for (let row = 1; row <= 2; row += 1) {
      await writeAudit(db, {
        action: "key.provision",
        actor: systemActor("test"),
        resourceType: "key",
        resourceId: `key-${row}`,
        details: { outcome: "info" },
      });
      const isSealed = async () => {
        const { ok, checked_rows } = await verifyLog(db, keyring);
        return ok && checked_rows >= row;
      };
      await expect.poll(isSealed, { timeout: 20_000, interval: 200 }).toBe(true);
    }
    expect(world.logLines.join("")).toContain('"msg":"audit.sealed"');
  },
);
