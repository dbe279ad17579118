import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { KeyRound, Plus, UserX } from "lucide-react";
import { useState } from "react";
import { ChangeButton, ChangeLink } from "../components/change.tsx";
import { Confirm } from "../components/confirm.tsx";
import { EventList } from "../components/event-list.tsx";
import { JobRows } from "../components/job-rows.tsx";
import { KeyRows } from "../components/key-rows.tsx";
import { Fact, Facts, Page } from "../components/page.tsx";
import { Badge } from "../components/ui/badge.tsx";
import { buttonClass } from "../components/ui/button.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { Time } from "../components/ui/time.tsx";
import { auditQuery } from "../data/audit.ts";
import { deactivateDeveloper, developerQuery } from "../data/developers.ts";
import { jobsQuery } from "../data/jobs.ts";
import { keysQuery } from "../data/keys.ts";
import { queryClient } from "../data/query-client.ts";
import { EditDialog } from "../features/developers/developer-form.tsx";
import { isNotFound } from "../lib/api.ts";
import { keyLabel, plural } from "../lib/format.ts";
import { toast } from "../lib/toasts.ts";
import { NotFound } from "./states.tsx";

const route = getRouteApi("/app/developers/$id");

export function DeveloperPage() {
  const { id } = route.useParams();
  const found = useQuery(developerQuery(id));
  const keys = useQuery(keysQuery({ developer_id: id, status: "all" }, 20));
  const jobs = useQuery(jobsQuery({ developer_id: id }, 5));
  const history = useQuery(auditQuery({ resource_id: id }, 15));
  const navigate = useNavigate();
  const [open, setOpen] = useState<"edit" | "deactivate" | null>(null);
  if (isNotFound(found.error)) return <NotFound />;
  if (!found.data)
    return <Page title="Developer">{found.isError ? <ProblemNotice error={found.error} /> : <SkeletonRows />}</Page>;
  const developer = found.data;
  const live = keys.data?.items.filter((key) => ["active", "retiring", "pending"].includes(key.status)) ?? [];
  const inactive = developer.is_active ? null : "Deactivated";
  return (
    <Page
      title={developer.name}
      note={
        <span className="flex flex-wrap items-center gap-2">
          <a className="hover:underline" href={`mailto:${developer.email}`}>
            {developer.email}
          </a>
          {developer.is_active ? null : <Badge>deactivated</Badge>}
        </span>
      }
      action={
        <>
          <ChangeButton onClick={() => setOpen("edit")}>Edit</ChangeButton>
          <ChangeButton variant="danger" reason={inactive} onClick={() => setOpen("deactivate")}>
            <UserX aria-hidden /> Deactivate
          </ChangeButton>
          <ChangeButton
            variant="primary"
            reason={inactive}
            onClick={() => navigate({ to: "/keys/new", search: { developer: id } })}
          >
            <Plus aria-hidden /> New key
          </ChangeButton>
        </>
      }
    >
      <Card>
        <Facts>
          <Fact label="Team">
            <Link className="hover:underline" to="/developers" search={{ team: developer.team }}>
              {developer.team}
            </Link>
          </Fact>
          <Fact label="Role in the organization">{developer.role}</Fact>
          <Fact label="Active keys">{developer.active_key_count}</Fact>
          <Fact label="Registered">
            <Time at={developer.created_at} as="full" />
          </Fact>
          <Fact label="Id">
            <span className="font-mono text-[0.8125rem]">{developer.id}</span>
          </Fact>
        </Facts>
      </Card>
      <Card>
        <CardHead
          title="Keys"
          action={
            <Link className={buttonClass("ghost", "sm")} to="/keys" search={{ developer_id: id, status: "all" }}>
              All of them
            </Link>
          }
        />
        {keys.isPending ? <SkeletonRows rows={3} /> : null}
        {keys.isError ? <ProblemNotice className="m-4" error={keys.error} /> : null}
        {keys.data?.items.length === 0 ? (
          <Empty
            icon={KeyRound}
            title="No keys yet"
            action={
              developer.is_active ? (
                <ChangeLink variant="primary" to="/keys/new" search={{ developer: id }}>
                  Make one
                </ChangeLink>
              ) : null
            }
          />
        ) : null}
        {keys.data?.items.length ? <KeyRows keys={keys.data.items} /> : null}
      </Card>
      <Card>
        <CardHead
          title="Jobs"
          action={
            <Link className={buttonClass("ghost", "sm")} to="/jobs" search={{ developer_id: id }}>
              All of them
            </Link>
          }
        />
        {jobs.isPending ? <SkeletonRows rows={2} /> : null}
        {jobs.isError ? <ProblemNotice className="m-4" error={jobs.error} /> : null}
        {jobs.data?.items.length === 0 ? <p className="p-4 text-ink-2">None yet.</p> : null}
        {jobs.data?.items.length ? <JobRows jobs={jobs.data.items} /> : null}
      </Card>
      <Card>
        <CardHead title="History" />
        <EventList events={history.data?.items} error={history.error} />
      </Card>
      <EditDialog isOpen={open === "edit"} onClose={() => setOpen(null)} developer={developer} />
      <Confirm
        isOpen={open === "deactivate"}
        onClose={() => setOpen(null)}
        title={`Deactivate ${developer.name}?`}
        deed="Deactivate"
        typed={live.length > 0 ? developer.name : undefined}
        run={async () => {
          const result = await deactivateDeveloper(id);
          await Promise.all([
            queryClient.invalidateQueries({ queryKey: ["developers"] }),
            queryClient.invalidateQueries({ queryKey: ["keys"] }),
          ]);
          toast(
            "info",
            `${developer.name} is deactivated`,
            result.job_id ? "Their keys are being revoked." : "They had no live key.",
          );
          if (result.job_id) await navigate({ to: "/jobs/$id", params: { id: result.job_id } });
        }}
      >
        <p>
          They get no key from now on, and{" "}
          {live.length === 0
            ? "have none that would die"
            : `${plural(live.length, "key")} of theirs ${live.length === 1 ? "is" : "are"} revoked at the vendor`}
          .
        </p>
        {live.length > 0 ? (
          <ul className="list-disc pl-5">
            {live.slice(0, 8).map((key) => (
              <li key={key.id}>
                <span className="font-mono text-[0.8125rem]">{keyLabel(key)}</span> {key.description}
              </li>
            ))}
            {live.length > 8 ? <li>and {live.length - 8} more</li> : null}
          </ul>
        ) : null}
      </Confirm>
    </Page>
  );
}
