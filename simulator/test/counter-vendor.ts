/** A vendor that only counts what it saw: enough to tell whether a call had its effect. */
import { z } from "zod";
import { type RunningVendor, type SimVendor, startVendorServer } from "../src/core.ts";

export function counterVendor(): SimVendor {
  let seen = 0;
  return {
    name: "counter",
    settings: z.object({ step: z.int().min(1).default(1), label: z.string().default("count") }),
    handle(req, sim) {
      if (req.path === "/bug") throw new Error("on purpose");
      if (req.path === "/empty") return { status: 204 };
      if (req.path === "/bad") sim.violation("asked for /bad");
      seen += Number(sim.settings.step);
      return { status: 200, body: { seen, padding: "x".repeat(2_000) } };
    },
    books: () => ({ seen }),
    reset() {
      seen = 0;
    },
    control: (action, body) => (action === "echo" ? { status: 200, body } : undefined),
  };
}

export const startCounter = (): Promise<RunningVendor> => startVendorServer(counterVendor());

/** Polls until `ready` holds: for what happens on the server's side of a connection just after the client's. */
export async function until(ready: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!ready()) {
    if (Date.now() > deadline) throw new Error("waited 20 s in vain");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
