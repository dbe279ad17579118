import type { JobView } from "@keygate/shared/contracts/jobs";
import { Link } from "@tanstack/react-router";
import { words } from "../lib/format.ts";
import { JobStateBadge, VendorName } from "./marks.tsx";
import { Table, Td, Th } from "./ui/table.tsx";
import { Time } from "./ui/time.tsx";

/** Jobs in short: what, how far, for whom. */
export const JobRows = ({ jobs }: { jobs: readonly JobView[] }) => (
  <Table label="Jobs">
    <thead>
      <tr>
        <Th>Job</Th>
        <Th>State</Th>
        <Th>Vendor</Th>
        <Th>Step</Th>
        <Th>Asked for by</Th>
        <Th>When</Th>
      </tr>
    </thead>
    <tbody>
      {jobs.map((job) => (
        <tr key={job.id} className="hover:bg-sunken/60">
          <Td className="font-medium whitespace-nowrap">
            <Link to="/jobs/$id" params={{ id: job.id }} className="hover:underline">
              {words(job.kind)}
            </Link>
          </Td>
          <Td>
            <JobStateBadge state={job.status} />
          </Td>
          <Td>{job.vendor ? <VendorName vendor={job.vendor} /> : <span className="text-ink-3">several</span>}</Td>
          <Td className="whitespace-nowrap text-ink-2 tabular-nums">
            {job.progress
              ? `${job.progress.succeeded + job.progress.failed} of ${job.progress.total} keys`
              : job.step.of > 0
                ? `${job.step.number} of ${job.step.of}`
                : "–"}
            {job.attempts > 1 ? <span className="text-ink-3"> · {job.attempts} tries</span> : null}
          </Td>
          <Td className="text-ink-2">{job.requested_by}</Td>
          <Td>
            <Time at={job.created_at} />
          </Td>
        </tr>
      ))}
    </tbody>
  </Table>
);
