import { CreateDeveloper } from "@keygate/shared/contracts/developers";
import { useState } from "react";
import type { z } from "zod";
import { ChangeButton } from "../../components/change.tsx";
import { Badge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Field, Input, Textarea } from "../../components/ui/field.tsx";
import { Notice } from "../../components/ui/notice.tsx";
import { Table, Td, Th } from "../../components/ui/table.tsx";
import { createDeveloper, knownEmails } from "../../data/developers.ts";
import { queryClient } from "../../data/query-client.ts";
import { parseCsv } from "../../lib/csv.ts";
import { plural } from "../../lib/format.ts";
import { asProblem } from "../../lib/problem.ts";

interface Line {
  number: number;
  shown: string;
  body: z.output<typeof CreateDeveloper> | null;
  fault: string | null;
  outcome: "waiting" | "registered" | "known" | "failed";
}

const names = ["name", "email", "team", "role"] as const;
const headerOf = (cell: string) =>
  names.find((name) => name === cell.toLowerCase().replace("-", "").replace("e mail", "email").trim());

function readLines(text: string): Line[] {
  const rows = parseCsv(text);
  const header = rows[0]?.map(headerOf) ?? [];
  const hasHeader = header.includes("email");
  const order = hasHeader ? header : [...names];
  const seen = new Set<string>();
  return rows.slice(hasHeader ? 1 : 0).map((row, index): Line => {
    const cells = Object.fromEntries(order.flatMap((name, at) => (name && row[at] ? [[name, row[at]]] : [])));
    const parsed = CreateDeveloper.safeParse(cells);
    const line = { number: index + (hasHeader ? 2 : 1), shown: row.join(", "), outcome: "waiting" as const };
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      return { ...line, body: null, fault: `${issue?.path.join(".") || "line"}: ${issue?.message}` };
    }
    if (seen.has(parsed.data.email)) return { ...line, body: null, fault: "The same e-mail stands in a line above" };
    seen.add(parsed.data.email);
    return { ...line, body: parsed.data, fault: null };
  });
}

export const ImportDialog = ({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) => (
  <Dialog
    isOpen={isOpen}
    onClose={onClose}
    title="Import developers"
    description="From CSV with the columns name, email, team and role; the last two may be missing."
    className="max-w-3xl"
  >
    <ImportBody onClose={onClose} />
  </Dialog>
);

function ImportBody({ onClose }: { onClose(): void }) {
  const [text, setText] = useState("");
  const [lines, setLines] = useState<Line[] | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [isReading, setReading] = useState(false);
  const [hasRun, setRun] = useState(false);
  const good = lines?.filter((line) => line.body) ?? [];
  const fresh = good.filter((line) => line.outcome !== "known");
  const done = fresh.filter((line) => line.outcome !== "waiting").length;

  const preview = async () => {
    setReading(true);
    const read = readLines(text);
    // Without the list the API tells, line by line, who is known.
    const known = await knownEmails().catch(() => new Set<string>());
    setLines(
      read.map((line) => (line.body && known.has(line.body.email) ? { ...line, outcome: "known" as const } : line)),
    );
    setReading(false);
  };
  const run = async () => {
    if (isBusy || !lines) return;
    setBusy(true);
    setRun(true);
    for (const line of good) {
      if (line.outcome === "registered" || line.outcome === "known" || !line.body) continue;
      let outcome: Line["outcome"] = "registered";
      let fault: string | null = null;
      try {
        await createDeveloper(line.body);
      } catch (error) {
        const problem = asProblem(error);
        outcome = problem.code === "developer.email_taken" ? "known" : "failed";
        fault = problem.message;
      }
      setLines(
        (before) => before?.map((each) => (each.number === line.number ? { ...each, outcome, fault } : each)) ?? null,
      );
    }
    setBusy(false);
    await queryClient.invalidateQueries({ queryKey: ["developers"] });
  };

  if (!lines) {
    return (
      <div className="flex flex-col gap-4">
        <Field label="A file">
          {(aria) => (
            <Input
              {...aria}
              type="file"
              accept=".csv,text/csv,text/plain"
              className="pt-1.5"
              onChange={async (event) => {
                const file = event.target.files?.[0];
                if (file) setText(await file.text());
              }}
            />
          )}
        </Field>
        <Field label="Or its text">
          {(aria) => (
            <Textarea
              {...aria}
              rows={7}
              className="font-mono text-[0.8125rem]"
              placeholder={"name,email,team\nAda Lovelace,ada@example.com,research"}
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
        <DialogFoot>
          <Button
            variant="primary"
            isBusy={isReading}
            reason={text.trim() ? null : "Choose a file or paste its text"}
            onClick={preview}
          >
            See what will happen
          </Button>
        </DialogFoot>
      </div>
    );
  }
  return (
    <div className="flex flex-col gap-4">
      <Notice
        tone={good.length === lines.length ? "info" : "warn"}
        role="status"
        title={hasRun ? `${done} of ${fresh.length} done` : `${plural(fresh.length, "developer")} will be registered`}
      >
        {lines.length - good.length > 0
          ? `${plural(lines.length - good.length, "line")} cannot be used and will be left out.`
          : "Who is registered already stays as they are."}
      </Notice>
      <div className="max-h-80 overflow-y-auto rounded-lg border border-line">
        <Table label="Lines of the file">
          <thead>
            <tr>
              <Th>Line</Th>
              <Th>Developer</Th>
              <Th>What happens</Th>
            </tr>
          </thead>
          <tbody>
            {lines.map((line) => (
              <tr key={line.number}>
                <Td className="text-ink-3 tabular-nums">{line.number}</Td>
                <Td>
                  {line.body ? (
                    <>
                      {line.body.name} <span className="text-ink-3">{line.body.email}</span>{" "}
                      <span className="text-ink-3">· {line.body.team}</span>
                    </>
                  ) : (
                    <span className="text-ink-3">{line.shown}</span>
                  )}
                </Td>
                <Td>
                  {line.outcome === "registered" ? <Badge tone="good">registered</Badge> : null}
                  {line.outcome === "known" ? <Badge title={line.fault ?? ""}>known already</Badge> : null}
                  {line.outcome === "failed" ? <Badge tone="bad">{line.fault}</Badge> : null}
                  {line.outcome === "waiting" && line.body ? <Badge tone="info">will be registered</Badge> : null}
                  {line.body ? null : <Badge tone="warn">{line.fault}</Badge>}
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      </div>
      <DialogFoot>
        {!hasRun ? (
          <Button variant="ghost" onClick={() => setLines(null)}>
            Back
          </Button>
        ) : null}
        {hasRun && done === fresh.length ? (
          <Button variant="primary" onClick={onClose}>
            Done
          </Button>
        ) : (
          <ChangeButton
            variant="primary"
            isBusy={isBusy}
            reason={fresh.length === 0 ? "Nobody in it is new" : null}
            onClick={run}
          >
            Register {plural(fresh.length, "developer")}
          </ChangeButton>
        )}
      </DialogFoot>
    </div>
  );
}
