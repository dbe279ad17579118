import { traced } from "@keygate/shared/tracing";
import type { Step } from "./step.ts";

/** The same step, whose every run, look and undoing is a span of its own around its vendor calls. */
export function traceStep<Ctx, State>(step: Step<Ctx, State>): Step<Ctx, State> {
  const { find, undo } = step;
  const inSpan = <T>(verb: string, work: () => Promise<T>) =>
    traced(`${verb} ${step.name}`, { kind: "internal", facts: { "keygate.step": step.name } }, work);
  return {
    ...step,
    run: (ctx, state) => inSpan("run", () => step.run(ctx, state)),
    find: find && ((ctx, state) => inSpan("find", () => find(ctx, state))),
    undo: undo && ((ctx, state) => inSpan("undo", () => undo(ctx, state))),
  };
}
