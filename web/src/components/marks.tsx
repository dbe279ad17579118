import type { JobState } from "@keygate/shared/contracts/jobs";
import type { KeyStatus } from "@keygate/shared/contracts/keys";
import type { Enforcer } from "@keygate/shared/contracts/limits";
import { type VendorId, vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import { FlaskConical } from "lucide-react";
import { words } from "../lib/format.ts";
import { Badge, type Tone } from "./ui/badge.tsx";

const keyTones: Record<KeyStatus, Tone> = {
  pending: "info",
  active: "good",
  retiring: "warn",
  revoking: "warn",
  revoked: "neutral",
  rotated: "neutral",
  expired: "neutral",
  failed: "bad",
};
const keyMeanings: Record<KeyStatus, string> = {
  pending: "Being made at the vendor",
  active: "Works at the vendor",
  retiring: "Still works; its successor exists",
  revoking: "To be removed at the vendor; not confirmed yet",
  revoked: "Gone at the vendor, confirmed by looking",
  rotated: "Replaced, and gone at the vendor",
  expired: "Its time was over, and it is gone at the vendor",
  failed: "Never came to be; what was made on the way is undone",
};
export const KeyStatusBadge = ({ status }: { status: KeyStatus }) => (
  <Badge tone={keyTones[status]} dot title={keyMeanings[status]}>
    {words(status)}
  </Badge>
);

const jobTones: Record<JobState, Tone> = {
  queued: "neutral",
  running: "info",
  waiting_for_input: "warn",
  waiting_for_vendor: "warn",
  compensating: "warn",
  needs_attention: "bad",
  succeeded: "good",
  failed: "bad",
  cancelled: "neutral",
};
const jobWords: Partial<Record<JobState, string>> = {
  compensating: "Undoing",
  waiting_for_input: "Waits for a person",
};
export const JobStateBadge = ({ state }: { state: JobState }) => (
  <Badge tone={jobTones[state]} dot>
    {jobWords[state] ?? words(state)}
  </Badge>
);

const marks: Record<string, { letter: string; color: string }> = {
  openai: { letter: "O", color: "#0f766e" },
  anthropic: { letter: "A", color: "#b45309" },
  azure_openai: { letter: "Az", color: "#1d4ed8" },
  google_vertex: { letter: "G", color: "#7e22ce" },
};

export interface VendorNameProps {
  vendor: VendorId;
  isSimulated?: boolean;
  /** In tables, where the word would stand in every row. */
  isCompact?: boolean;
}

const simulatedTitle = "Made at the simulated vendor: it costs nothing and opens nothing";

export function VendorName({ vendor, isSimulated = false, isCompact = false }: VendorNameProps) {
  const { letter, color } = marks[vendor] ?? { letter: vendor.charAt(0).toUpperCase(), color: "#475569" };
  return (
    <span className="inline-flex items-center gap-2 whitespace-nowrap">
      <span
        aria-hidden
        className="grid size-5 place-items-center rounded text-[0.625rem] font-bold text-white"
        style={{ background: color }}
      >
        {letter}
      </span>
      <span className={isCompact ? "max-sm:sr-only" : undefined}>{vendorContracts[vendor].title}</span>
      {isSimulated && isCompact ? (
        <span title={simulatedTitle}>
          <FlaskConical aria-hidden className="size-3.5 text-ink-3" />
          <span className="sr-only">simulated</span>
        </span>
      ) : null}
      {isSimulated && !isCompact ? <Badge title={simulatedTitle}>simulated</Badge> : null}
    </span>
  );
}

const enforcers: Record<Enforcer, { tone: Tone; text: string; title: string }> = {
  vendor: { tone: "good", text: "Vendor enforces", title: "The vendor refuses calls beyond it" },
  keygate: { tone: "info", text: "KeyGate enforces", title: "KeyGate watches and revokes" },
  declared: { tone: "warn", text: "Declared", title: "A person says that it was set; nobody checked" },
  none: { tone: "bad", text: "Nobody enforces", title: "Nothing stops anyone: the number is a note" },
};
export const EnforcerBadge = ({ by }: { by: Enforcer }) => (
  <Badge tone={enforcers[by].tone} title={enforcers[by].title}>
    {enforcers[by].text}
  </Badge>
);

export const limitTitles = {
  budget: "Budget",
  rate_limit: "Requests per minute",
  models: "Models",
  expiry: "Expiry",
} as const;
export const limitTitle = (name: string): string => limitTitles[name as keyof typeof limitTitles] ?? words(name);
