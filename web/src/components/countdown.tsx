import { useSecond } from "../lib/clock.ts";
import { clock } from "../lib/format.ts";

/** Time left until a moment. Spoken to screen readers once a minute at most. */
export function Countdown({ until }: { until: string }) {
  const left = Math.max(0, Math.floor(Date.parse(until) / 1000) - useSecond());
  return (
    <span
      className="tabular-nums"
      role="timer"
      aria-label={left >= 60 ? `${Math.ceil(left / 60)} minutes left` : "less than a minute left"}
    >
      {clock(left)}
    </span>
  );
}
