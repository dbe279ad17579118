import type { DashboardStats } from "@keygate/shared/contracts/stats";
import { Table, Td, Th } from "../../components/ui/table.tsx";
import { cn } from "../../lib/cn.ts";
import { count, plural } from "../../lib/format.ts";

type Days = NonNullable<DashboardStats["keys_by_day"]>;

const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const nameOf = (day: string) => dayFormat.format(new Date(day));
const sum = (days: Days, of: "made" | "ended") => days.reduce((total, day) => total + day[of], 0);

const Mark = ({ className }: { className: string }) => (
  <span aria-hidden className={cn("size-2.5 rounded-sm", className)} />
);

/** What was made stands above the line and what ended below it; the same numbers as a table for those who read. */
export function History({ days }: { days: Days }) {
  const mostMade = Math.max(0, ...days.map((day) => day.made));
  const mostEnded = Math.max(0, ...days.map((day) => day.ended));
  const [made, ended] = [sum(days, "made"), sum(days, "ended")];
  if (made + ended === 0) return <p className="p-4 text-ink-2">No key was made or ended in that time.</p>;
  // One scale for both sides of the line; a side where nothing happened takes no room.
  const height = (n: number, most: number) => ({ height: n === 0 ? 0 : `max(2px, ${(n / most) * 100}%)` });
  return (
    <figure className="p-4">
      <figcaption className="flex flex-wrap gap-x-5 gap-y-1 text-ink-2">
        <span className="flex items-center gap-2">
          <Mark className="bg-brand" /> {count(made)} made
        </span>
        <span className="flex items-center gap-2">
          <Mark className="bg-ink-3" /> {count(ended)} ended
        </span>
        <span className="ml-auto text-[0.8125rem] text-ink-3">
          Most in a day: {count(Math.max(mostMade, mostEnded))}
        </span>
      </figcaption>
      <div
        role="img"
        aria-label={`In ${days.length} days ${plural(made, "key was", "keys were")} made and ${count(ended)} ended`}
        className="mt-4 flex h-32"
      >
        {days.map(({ day, made, ended }) => (
          <div
            key={day}
            title={`${nameOf(day)}: ${count(made)} made, ${count(ended)} ended`}
            className="flex flex-1 flex-col px-px hover:bg-sunken sm:px-0.5"
          >
            <span className="flex min-h-0 items-end" style={{ flex: mostMade }}>
              <span className="w-full rounded-t-sm bg-brand" style={height(made, mostMade)} />
            </span>
            <span className="-mx-px border-t border-line-strong sm:-mx-0.5" />
            <span className="flex min-h-0 items-start" style={{ flex: mostEnded }}>
              <span className="w-full rounded-b-sm bg-ink-3" style={height(ended, mostEnded)} />
            </span>
          </div>
        ))}
      </div>
      <p aria-hidden className="mt-1.5 flex justify-between text-xs text-ink-3">
        <span>{nameOf(days[0]?.day ?? "")}</span>
        <span>Today</span>
      </p>
      <details className="mt-3">
        <summary className="text-[0.8125rem] text-ink-2">The numbers</summary>
        <div className="mt-2 max-h-72 overflow-y-auto rounded-lg border border-line">
          <Table label="Keys made and ended by day">
            <thead>
              <tr>
                <Th>Day, by UTC</Th>
                <Th>Made</Th>
                <Th>Ended</Th>
              </tr>
            </thead>
            <tbody>
              {days.toReversed().map(({ day, made, ended }) => (
                <tr key={day}>
                  <Td>{nameOf(day)}</Td>
                  <Td className="tabular-nums">{count(made)}</Td>
                  <Td className="tabular-nums">{count(ended)}</Td>
                </tr>
              ))}
            </tbody>
          </Table>
        </div>
      </details>
    </figure>
  );
}
