import type { ReconcileRun } from "@keygate/shared/contracts/reconcile";
import { Link } from "@tanstack/react-router";
import { VendorName } from "../../components/marks.tsx";
import { Badge } from "../../components/ui/badge.tsx";
import { Table, Td, Th } from "../../components/ui/table.tsx";
import { Time } from "../../components/ui/time.tsx";
import { count, words } from "../../lib/format.ts";

const tones = { running: "info", completed: "good", abandoned: "bad" } as const;

/** The newest look at each vendor: how far it is, or how it ended. */
export const Runs = ({ runs }: { runs: readonly ReconcileRun[] }) => (
  <Table label="The newest look at each vendor">
    <thead>
      <tr>
        <Th>Vendor</Th>
        <Th>Look</Th>
        <Th className="max-sm:hidden">Resources</Th>
        <Th className="max-sm:hidden">Keys</Th>
        <Th className="max-sm:hidden">Looked for one by one</Th>
        <Th className="max-sm:hidden">Left out</Th>
        <Th>When</Th>
      </tr>
    </thead>
    <tbody>
      {runs.map((run) => (
        <tr key={run.vendor}>
          <Td>
            <VendorName vendor={run.vendor} />
          </Td>
          <Td>
            <Badge tone={tones[run.state]} dot title={run.error ?? run.waiting ?? undefined}>
              {run.state === "running" ? `reading ${run.phase ?? "resources"}` : run.state}
            </Badge>
            {run.error || run.waiting ? (
              <p className="mt-1 max-w-72 text-[0.8125rem] text-ink-3">{run.error ?? words(run.waiting ?? "")}</p>
            ) : null}
          </Td>
          <Td className="tabular-nums max-sm:hidden">{count(run.resources_seen)}</Td>
          <Td className="tabular-nums max-sm:hidden">{count(run.keys_seen)}</Td>
          <Td className="tabular-nums max-sm:hidden">{count(run.rows_checked)}</Td>
          <Td className="tabular-nums max-sm:hidden">{run.skipped ? count(run.skipped) : "–"}</Td>
          <Td>
            {run.job_id ? (
              <Link className="underline" to="/jobs/$id" params={{ id: run.job_id }}>
                <Time at={run.ended_at ?? run.moved_at} />
              </Link>
            ) : (
              <Time at={run.ended_at ?? run.moved_at} />
            )}
          </Td>
        </tr>
      ))}
    </tbody>
  </Table>
);
