import type { VendorView } from "@keygate/shared/contracts/vendors";
import { Badge } from "./ui/badge.tsx";

const tones = { healthy: "good", unhealthy: "bad", unknown: "neutral" } as const;
const texts = { healthy: "healthy", unhealthy: "unhealthy", unknown: "not tried yet" } as const;

export const HealthBadge = ({ health }: { health: VendorView["health"] }) => (
  <Badge tone={tones[health.status]} dot title={health.detail ?? undefined}>
    {texts[health.status]}
  </Badge>
);
