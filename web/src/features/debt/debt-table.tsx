import type { Debt } from "@keygate/shared/contracts/debt";
import { Link } from "@tanstack/react-router";
import { ChangeButton } from "../../components/change.tsx";
import { VendorName } from "../../components/marks.tsx";
import { Badge } from "../../components/ui/badge.tsx";
import { Time } from "../../components/ui/time.tsx";
import { retryDebt } from "../../data/debt.ts";
import { queryClient } from "../../data/query-client.ts";
import { useDeed } from "../../lib/deed.ts";
import { plural, words } from "../../lib/format.ts";
import { toast } from "../../lib/toasts.ts";

/** What is owed, by whom, for how long and why; with one try now and the write-off. */
export const DebtTable = ({ debts, onWriteOff }: { debts: readonly Debt[]; onWriteOff(debt: Debt): void }) => (
  <ul className="divide-y divide-line" aria-label="Debts">
    {debts.map((debt) => (
      <Row key={debt.job_id} debt={debt} onWriteOff={() => onWriteOff(debt)} />
    ))}
  </ul>
);

function Row({ debt, onWriteOff }: { debt: Debt; onWriteOff(): void }) {
  const [tryNow, isTrying] = useDeed(async () => {
    await retryDebt(debt.job_id);
    toast("info", debt.written_off ? "Taken up again" : "Trying now", "What the vendor says shows here.");
    await queryClient.invalidateQueries({ queryKey: ["debt"] });
  });
  return (
    <li className="flex flex-wrap items-start gap-x-6 gap-y-3 px-4 py-4">
      <div className="min-w-0 flex-1 basis-80">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <Link className="font-medium hover:underline" to="/jobs/$id" params={{ id: debt.job_id }}>
            {words(debt.kind)}
          </Link>
          {debt.vendor ? <VendorName vendor={debt.vendor} /> : null}
          {debt.owner ? (
            <Link className="hover:underline" to="/developers/$id" params={{ id: debt.owner.developer_id }}>
              {debt.owner.name} <span className="text-ink-3">· {debt.owner.team}</span>
            </Link>
          ) : null}
          {debt.written_off ? <Badge tone="warn">written off</Badge> : null}
        </div>
        <p className="mt-1.5 max-w-prose text-ink-2 [overflow-wrap:anywhere]">
          {debt.reason ?? "No try has told why yet."}
        </p>
        <p className="mt-1 text-[0.8125rem] text-ink-3 [overflow-wrap:anywhere]">
          {debt.key_id ? (
            <>
              <Link className="font-mono underline" to="/keys/$id" params={{ id: debt.key_id }}>
                {debt.project_name}
              </Link>
              {" · "}
            </>
          ) : null}
          asked for <Time at={debt.since} /> by {debt.requested_by} · {plural(debt.attempts, "try", "tries")}
          {debt.next_try_at ? (
            <>
              {" "}
              · next <Time at={debt.next_try_at} />
            </>
          ) : null}
          {debt.written_off ? (
            <>
              {" "}
              · written off <Time at={debt.written_off.at} /> by {debt.written_off.by}: {debt.written_off.reason}
            </>
          ) : null}
        </p>
      </div>
      <div className="flex flex-wrap gap-2">
        <ChangeButton size="sm" isBusy={isTrying} onClick={tryNow}>
          {debt.written_off ? "Take it up again" : "Try now"}
        </ChangeButton>
        {debt.written_off ? null : (
          <ChangeButton size="sm" variant="ghost" onClick={onWriteOff}>
            Write off …
          </ChangeButton>
        )}
      </div>
    </li>
  );
}
