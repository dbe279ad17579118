import type { FindingKind, ReconcileFinding } from "@keygate/shared/contracts/reconcile";
import { Link } from "@tanstack/react-router";
import { ChangeButton, useWhyNotChange } from "../../components/change.tsx";
import { VendorName } from "../../components/marks.tsx";
import { Badge, type Tone } from "../../components/ui/badge.tsx";
import { buttonClass } from "../../components/ui/button.tsx";
import { Time } from "../../components/ui/time.tsx";
import { plural, words } from "../../lib/format.ts";

export const findingWords: Record<FindingKind, { title: string; tone: Tone; meaning: string }> = {
  orphan: { title: "Orphan", tone: "bad", meaning: "Bears KeyGate's mark and belongs to no live key" },
  ghost: { title: "Ghost", tone: "bad", meaning: "A live key of KeyGate's that the vendor does not have" },
  drift: { title: "Drift", tone: "warn", meaning: "A limit differs from what KeyGate set" },
  unmanaged: { title: "Unmanaged", tone: "info", meaning: "A key that KeyGate did not make" },
  disabled_by_vendor: { title: "Switched off", tone: "warn", meaning: "A live key that the vendor has switched off" },
};

export interface FindingListProps {
  findings: readonly ReconcileFinding[];
  onAdopt(finding: ReconcileFinding): void;
  onRemove(finding: ReconcileFinding): void;
}

/** What was found, why it matters, and what can be done about it; what KeyGate would do first stands out. */
export const FindingList = ({ findings, onAdopt, onRemove }: FindingListProps) => (
  <ul className="divide-y divide-line" aria-label="Findings">
    {findings.map((finding) => {
      const { title, tone, meaning } = findingWords[finding.kind];
      return (
        <li key={finding.id} className="flex flex-wrap items-start gap-x-6 gap-y-3 px-4 py-4">
          <div className="min-w-0 flex-1 basis-80">
            <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
              <Badge tone={tone} dot title={meaning}>
                {title}
              </Badge>
              <span className="font-medium [overflow-wrap:anywhere]">{finding.resource.name}</span>
              <VendorName vendor={finding.vendor} />
            </div>
            <p className="mt-1.5 max-w-prose text-ink-2 [overflow-wrap:anywhere]">{finding.detail || meaning}</p>
            <p className="mt-1 text-[0.8125rem] text-ink-3 [overflow-wrap:anywhere]">
              {words(finding.resource.type)} <span className="font-mono">{finding.resource.id}</span> · first seen{" "}
              <Time at={finding.first_seen} />, in {plural(finding.sightings, "look")}
              {finding.resolved_at ? (
                <>
                  {" "}
                  · {words(finding.resolution ?? "gone").toLowerCase()} <Time at={finding.resolved_at} />
                </>
              ) : null}
            </p>
          </div>
          {finding.resolved_at ? (
            <Badge tone="good">resolved</Badge>
          ) : (
            <Deeds finding={finding} onAdopt={() => onAdopt(finding)} onRemove={() => onRemove(finding)} />
          )}
        </li>
      );
    })}
  </ul>
);

function Deeds({ finding, onAdopt, onRemove }: { finding: ReconcileFinding; onAdopt(): void; onRemove(): void }) {
  const { key_id: keyId, suggested_action: suggested, can_adopt, can_remove, removal_job_id: jobId } = finding;
  const whyNot = useWhyNotChange();
  const isFor = suggested === "revoke" || suggested === "rotate";
  const isFirst = (deed: string) => (suggested === deed ? "primary" : "secondary");
  return (
    <div className="flex flex-wrap gap-2">
      {jobId ? (
        <Link className={buttonClass("secondary", "sm")} to="/jobs/$id" params={{ id: jobId }}>
          Its removal
        </Link>
      ) : null}
      {can_adopt ? (
        <ChangeButton size="sm" variant={isFirst("adopt")} onClick={onAdopt}>
          Adopt …
        </ChangeButton>
      ) : null}
      {can_remove && !jobId ? (
        <ChangeButton size="sm" variant="danger" onClick={onRemove}>
          Remove …
        </ChangeButton>
      ) : null}
      {keyId ? (
        <Link className={buttonClass(isFor ? "primary" : "secondary", "sm")} to="/keys/$id" params={{ id: keyId }}>
          {whyNot || !isFor ? "See the key" : suggested === "revoke" ? "Revoke the key" : "Rotate the key"}
        </Link>
      ) : null}
      {suggested === "check_vendor" ? (
        <Link className={buttonClass("secondary", "sm")} to="/vendors/$vendor" params={{ vendor: finding.vendor }}>
          See the vendor
        </Link>
      ) : null}
    </div>
  );
}
