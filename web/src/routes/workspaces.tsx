import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Boxes, Plus } from "lucide-react";
import { useState } from "react";
import { ChangeButton } from "../components/change.tsx";
import { Page } from "../components/page.tsx";
import { Badge } from "../components/ui/badge.tsx";
import { Button } from "../components/ui/button.tsx";
import { Card } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { workspacesQuery } from "../data/workspaces.ts";
import { WorkspaceDialog } from "../features/workspaces/workspace-dialog.tsx";
import { dollars, plural } from "../lib/format.ts";

const route = getRouteApi("/app/workspaces");

export function WorkspacesPage() {
  const { archived = false } = route.useSearch();
  const workspaces = useQuery(workspacesQuery(archived));
  const navigate = useNavigate();
  const [isNew, setNew] = useState(false);
  const items = workspaces.data?.items;
  return (
    <Page
      title="Workspaces"
      note="Groups of developers with a budget and a rate of their own."
      action={
        <>
          <Button
            aria-pressed={archived}
            onClick={() => navigate({ to: "/workspaces", search: archived ? {} : { archived: true } })}
          >
            {archived ? "Hide archived" : "Show archived"}
          </Button>
          <ChangeButton variant="primary" onClick={() => setNew(true)}>
            <Plus aria-hidden /> New workspace
          </ChangeButton>
        </>
      }
    >
      {workspaces.isError ? <ProblemNotice error={workspaces.error} /> : null}
      {workspaces.isPending ? (
        <Card>
          <SkeletonRows />
        </Card>
      ) : null}
      {items?.length === 0 ? (
        <Card>
          <Empty
            icon={Boxes}
            title="No workspaces yet"
            action={
              <ChangeButton variant="primary" onClick={() => setNew(true)}>
                Make the first
              </ChangeButton>
            }
          >
            Not needed for a first key. They help when a team shares a budget that the sum of its keys may not pass.
          </Empty>
        </Card>
      ) : null}
      <ul className="grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
        {items?.map((workspace) => {
          const { spend_limit: limit, total_budget_allocated: used } = workspace;
          return (
            <li
              key={workspace.id}
              className="relative rounded-lg border border-line bg-surface p-4 hover:border-line-strong"
            >
              <div className="flex items-center gap-2.5">
                <span aria-hidden className="size-3 rounded-full" style={{ background: workspace.color }} />
                <Link
                  to="/workspaces/$id"
                  params={{ id: workspace.id }}
                  className="font-semibold after:absolute after:inset-0"
                >
                  {workspace.name}
                </Link>
                {workspace.is_archived ? <Badge>archived</Badge> : null}
              </div>
              <p className="mt-1 line-clamp-2 min-h-10 text-ink-2">{workspace.description || "No description"}</p>
              <p className="mt-3 flex justify-between text-[0.8125rem] text-ink-3">
                <span>
                  {plural(workspace.member_count, "member")} · {plural(workspace.key_count, "key")}
                </span>
                <span className="tabular-nums">
                  {dollars(used)}
                  {limit === null ? "" : ` of ${dollars(limit)}`}
                </span>
              </p>
              {limit === null ? null : (
                <div className="mt-1.5 h-1 overflow-hidden rounded-full bg-line">
                  <div className="h-full bg-brand" style={{ width: `${Math.min(100, (used / limit) * 100)}%` }} />
                </div>
              )}
            </li>
          );
        })}
      </ul>
      <WorkspaceDialog
        isOpen={isNew}
        onClose={() => setNew(false)}
        onDone={({ id }) => navigate({ to: "/workspaces/$id", params: { id } })}
      />
    </Page>
  );
}
