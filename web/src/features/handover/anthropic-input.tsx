import { type JobDetail, JobInputRequest } from "@keygate/shared/contracts/jobs";
import { ExternalLink } from "lucide-react";
import { FormShell, TextField } from "../../components/form.tsx";
import { buttonClass } from "../../components/ui/button.tsx";
import { Card, CardHead } from "../../components/ui/card.tsx";
import { CopyButton } from "../../components/ui/copy-button.tsx";
import { Notice } from "../../components/ui/notice.tsx";
import { giveInput } from "../../data/jobs.ts";
import { queryClient } from "../../data/query-client.ts";
import { useForm } from "../../lib/form.ts";

/** The guided way through what a vendor lets only a person do. */
export function InputForm({ job }: { job: JobDetail }) {
  const form = useForm({
    initial: { api_key: "" },
    schema: JobInputRequest,
    toBody: (values) => values,
    async run({ api_key }) {
      await giveInput(job.id, api_key);
      await queryClient.invalidateQueries({ queryKey: ["jobs", job.id] });
    },
  });
  const lines = (job.waiting?.instructions ?? "").split("\n").filter(Boolean);
  return (
    <Card>
      <CardHead
        title="A person has to make this key"
        note={job.waiting?.reason}
        action={
          job.waiting?.link ? (
            <a className={buttonClass("secondary", "sm")} href={job.waiting.link} target="_blank" rel="noreferrer">
              Open the Console <ExternalLink aria-hidden />
            </a>
          ) : null
        }
      />
      <ol className="flex flex-col gap-3 p-4">
        {lines.map((line, index) => {
          const text = line.replace(/^\d+\.\s*/, "");
          const copyable = /^Key name: (.+)$/.exec(text)?.[1] ?? /(curl .+?) and take the member/.exec(text)?.[1];
          return (
            <li key={line} className="flex gap-3">
              <span
                aria-hidden
                className="grid size-6 shrink-0 place-items-center rounded-full bg-brand-soft text-xs font-semibold text-brand-strong"
              >
                {index + 1}
              </span>
              <span className="min-w-0 flex-1 pt-0.5 [overflow-wrap:anywhere]">{text}</span>
              {copyable ? <CopyButton text={copyable} variant="ghost" /> : null}
            </li>
          );
        })}
      </ol>
      <FormShell form={form} deed="Check and hand over" className="border-t border-line p-4">
        {job.error?.code === "job.input_refused" && !form.problem ? (
          <Notice tone="warn" title={job.error.title}>
            {job.error.detail}
          </Notice>
        ) : null}
        <TextField
          form={form}
          name="api_key"
          label="The key from the Console"
          help="It travels sealed to the worker, is tried with one free call, and is handed over like any other."
          type="password"
          spellCheck={false}
        />
      </FormShell>
    </Card>
  );
}
