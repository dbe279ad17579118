import type { AuditVerification } from "@keygate/shared/contracts/audit";
import { CopyButton } from "../../components/ui/copy-button.tsx";
import { Notice } from "../../components/ui/notice.tsx";
import { Time } from "../../components/ui/time.tsx";
import { count, plural, words } from "../../lib/format.ts";

/** What the last verification found: how much was read, up to where it is sealed, and everything that does not fit. */
export function Verdict({ verdict, at }: { verdict: AuditVerification; at: number }) {
  const { ok, head, problems, problems_total: total, unsealed_rows: unsealed } = verdict;
  return (
    <Notice
      tone={ok ? "good" : "bad"}
      role="status"
      title={ok ? "The log is whole" : `The log is not whole: ${plural(total, "problem")}`}
      action={head ? <CopyButton text={head.hash} label="Copy the head, to keep elsewhere" /> : null}
    >
      <p>
        {count(verdict.checked_rows)} rows under {plural(verdict.checkpoints, "seal")} were read and recomputed,{" "}
        <Time at={new Date(at).toISOString()} />.{" "}
        {unsealed > 0 ? `${plural(unsealed, "row")} wait to be sealed, a few seconds after they were written.` : ""}
      </p>
      {head ? (
        <p className="mt-1 font-mono text-xs">
          Head {head.checkpoint}: {head.hash}
        </p>
      ) : null}
      {problems.length > 0 ? (
        <ul className="mt-2 list-disc pl-4">
          {problems.slice(0, 20).map((problem) => (
            <li key={`${problem.checkpoint}-${problem.kind}-${problem.detail}`}>
              {words(problem.kind)}
              {problem.checkpoint === null ? "" : ` (seal ${problem.checkpoint})`}: {problem.detail}
            </li>
          ))}
        </ul>
      ) : null}
    </Notice>
  );
}
