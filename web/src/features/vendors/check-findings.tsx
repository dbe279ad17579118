import type { CheckReport } from "@keygate/shared/contracts/vendors";
import { CircleCheck, CircleX } from "lucide-react";
import { Notice } from "../../components/ui/notice.tsx";
import { Time } from "../../components/ui/time.tsx";
import { words } from "../../lib/format.ts";

/** What trying the credential found, and what is missing. */
export function CheckFindings({ report }: { report: CheckReport }) {
  return (
    <div role="status" className="flex flex-col gap-3">
      <Notice
        tone={report.ok ? "good" : "bad"}
        title={report.ok ? "The credential works" : "The credential is stored, but does not do yet"}
      >
        {report.missing.length > 0 ? <>Missing: {report.missing.join(", ")}. </> : null}
        Tried <Time at={report.checked_at} />.
      </Notice>
      <ul className="flex flex-col gap-2">
        {report.findings.map((finding) => (
          <li key={finding.name + finding.detail} className="flex gap-2.5">
            {finding.ok ? (
              <CircleCheck aria-label="Fine" className="mt-0.5 size-4 shrink-0 text-good" />
            ) : (
              <CircleX aria-label="Not fine" className="mt-0.5 size-4 shrink-0 text-bad" />
            )}
            <span className="min-w-0 [overflow-wrap:anywhere]">
              <span className="font-medium">{words(finding.name)}</span>{" "}
              <span className="text-ink-2">{finding.detail}</span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
