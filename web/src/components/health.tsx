import type { VendorView } from "@keygate/shared/contracts/vendors";
import { plural } from "../lib/format.ts";
import { Countdown } from "./countdown.tsx";
import { Badge } from "./ui/badge.tsx";

const tones = { healthy: "good", unhealthy: "bad", unknown: "neutral" } as const;
const texts = { healthy: "healthy", unhealthy: "unhealthy", unknown: "not tried yet" } as const;

/** What the vendor's own limits do to KeyGate right now. */
export function Pace({ throttling: { jobs_waiting: waiting, next_try_at: next } }: Pick<VendorView, "throttling">) {
  if (waiting === 0) return "Full speed";
  return (
    <>
      {plural(waiting, "job")} {waiting === 1 ? "waits" : "wait"} for the vendor's rate limit
      {next ? (
        <>
          {", "}the first goes on in <Countdown until={next} />
        </>
      ) : null}
    </>
  );
}

export const HealthBadge = ({ health }: { health: VendorView["health"] }) => (
  <Badge tone={tones[health.status]} dot title={health.detail ?? undefined}>
    {texts[health.status]}
  </Badge>
);
