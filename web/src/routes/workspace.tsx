import type { DeveloperId, WorkspaceId } from "@keygate/shared/contracts/ids";
import { type WorkspaceMemberView, workspaceRoles } from "@keygate/shared/contracts/workspaces";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Archive, UserPlus, Users } from "lucide-react";
import { useState } from "react";
import type { z } from "zod";
import { ChangeButton } from "../components/change.tsx";
import { Confirm } from "../components/confirm.tsx";
import { DeveloperPicker } from "../components/developer-picker.tsx";
import { FormShell } from "../components/form.tsx";
import { KeyRows } from "../components/key-rows.tsx";
import { Fact, Facts, Page } from "../components/page.tsx";
import { Badge } from "../components/ui/badge.tsx";
import { buttonClass } from "../components/ui/button.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Dialog } from "../components/ui/dialog.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { Field, Select } from "../components/ui/field.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { Table, Td, Th } from "../components/ui/table.tsx";
import { keysQuery } from "../data/keys.ts";
import { queryClient } from "../data/query-client.ts";
import { addMember, archiveWorkspace, membersQuery, removeMember, workspaceQuery } from "../data/workspaces.ts";
import { WorkspaceDialog } from "../features/workspaces/workspace-dialog.tsx";
import { isNotFound } from "../lib/api.ts";
import { useDeed } from "../lib/deed.ts";
import { dollars } from "../lib/format.ts";
import { toast } from "../lib/toasts.ts";
import { NotFound } from "./states.tsx";

const route = getRouteApi("/app/workspaces/$id");
const refresh = () =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ["workspaces"] }),
    queryClient.invalidateQueries({ queryKey: ["developers"] }),
  ]);

export function WorkspacePage() {
  const { id } = route.useParams();
  const found = useQuery(workspaceQuery(id));
  const keys = useQuery(keysQuery({ workspace_id: id }, 20));
  const navigate = useNavigate();
  const [open, setOpen] = useState<"edit" | "archive" | "add" | null>(null);
  const close = () => setOpen(null);
  if (isNotFound(found.error)) return <NotFound />;
  if (!found.data)
    return <Page title="Workspace">{found.isError ? <ProblemNotice error={found.error} /> : <SkeletonRows />}</Page>;
  const workspace = found.data;
  const archived = workspace.is_archived ? "Archived" : null;
  return (
    <Page
      title={workspace.name}
      note={workspace.description || (workspace.is_archived ? <Badge>archived</Badge> : null)}
      action={
        <>
          <ChangeButton reason={archived} onClick={() => setOpen("edit")}>
            Edit
          </ChangeButton>
          <ChangeButton variant="danger" reason={archived} onClick={() => setOpen("archive")}>
            <Archive aria-hidden /> Archive
          </ChangeButton>
        </>
      }
    >
      <Card>
        <Facts>
          <Fact label="Budgets of its keys">{dollars(workspace.total_budget_allocated)} a month</Fact>
          <Fact label="Limit">
            {workspace.spend_limit === null ? "None" : `${dollars(workspace.spend_limit)} a month`}
          </Fact>
          <Fact label="Requests a minute, at most">{workspace.rate_limit_rpm ?? "No limit"}</Fact>
        </Facts>
      </Card>
      <Members id={id} archived={archived} onAdd={() => setOpen("add")} />
      <Card>
        <CardHead
          title="Keys"
          action={
            <Link className={buttonClass("ghost", "sm")} to="/keys" search={{ workspace_id: id, status: "all" }}>
              All of them
            </Link>
          }
        />
        {keys.data?.items.length ? (
          <KeyRows keys={keys.data.items} withDeveloper />
        ) : (
          <p className="p-4 text-ink-2">{keys.isPending ? "…" : "No active key belongs to it."}</p>
        )}
      </Card>
      <WorkspaceDialog isOpen={open === "edit"} onClose={close} workspace={workspace} onDone={close} />
      <Dialog isOpen={open === "add"} onClose={close} title="Add a member">
        <AddMember id={id} onClose={close} />
      </Dialog>
      <Confirm
        isOpen={open === "archive"}
        onClose={close}
        title={`Archive ${workspace.name}?`}
        deed="Archive"
        run={async () => {
          await archiveWorkspace(id);
          await refresh();
          toast("good", `${workspace.name} is archived`);
          await navigate({ to: "/workspaces" });
        }}
      >
        <p>No key can be made in it any more. It has to have no live key: revoke them first.</p>
      </Confirm>
    </Page>
  );
}

function Members({ id, archived, onAdd }: { id: WorkspaceId; archived: string | null; onAdd(): void }) {
  const members = useQuery(membersQuery(id));
  return (
    <Card>
      <CardHead
        title="Members"
        action={
          <ChangeButton size="sm" reason={archived} onClick={onAdd}>
            <UserPlus aria-hidden /> Add
          </ChangeButton>
        }
      />
      {members.isPending ? <SkeletonRows rows={3} /> : null}
      {members.isError ? <ProblemNotice className="m-4" error={members.error} /> : null}
      {members.data?.length === 0 ? (
        <Empty icon={Users} title="Nobody yet">
          Only members can get keys in this workspace.
        </Empty>
      ) : null}
      {members.data?.length ? (
        <Table label="Members">
          <thead>
            <tr>
              <Th>Name</Th>
              <Th>E-mail</Th>
              <Th>Role</Th>
              <Th>
                <span className="sr-only">Actions</span>
              </Th>
            </tr>
          </thead>
          <tbody>
            {members.data.map((member) => (
              <MemberRow key={member.developer_id} id={id} member={member} />
            ))}
          </tbody>
        </Table>
      ) : null}
    </Card>
  );
}

function MemberRow({ id, member }: { id: WorkspaceId; member: z.infer<typeof WorkspaceMemberView> }) {
  const [remove, isRemoving] = useDeed(async () => {
    await removeMember(id, member.developer_id);
    await refresh();
    toast("good", `${member.name} is no longer a member`, "Keys that they have in it stay.");
  });
  return (
    <tr>
      <Td className="font-medium">
        <Link to="/developers/$id" params={{ id: member.developer_id }} className="hover:underline">
          {member.name}
        </Link>{" "}
        {member.is_active ? null : <Badge>deactivated</Badge>}
      </Td>
      <Td className="text-ink-2">{member.email}</Td>
      <Td>{member.role}</Td>
      <Td className="text-right">
        <ChangeButton
          size="sm"
          variant="ghost"
          aria-label={`Remove ${member.name}`}
          isBusy={isRemoving}
          onClick={remove}
        >
          Remove
        </ChangeButton>
      </Td>
    </tr>
  );
}

function AddMember({ id, onClose }: { id: WorkspaceId; onClose(): void }) {
  const [developerId, setDeveloperId] = useState<DeveloperId | null>(null);
  const [role, setRole] = useState<string>("member");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const add = async () => {
    if (!developerId || isBusy) return;
    setBusy(true);
    setError(null);
    try {
      await addMember(id, developerId, role);
      await refresh();
      onClose();
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  };
  return (
    <FormShell
      form={{ submit: add, problem: error, isBusy }}
      deed="Add"
      reason={developerId ? null : "Choose a developer"}
      onCancel={onClose}
    >
      <Field label="Developer">
        {(aria) => <DeveloperPicker aria={aria} value={developerId} onChange={setDeveloperId} />}
      </Field>
      <Field label="Role">
        {(aria) => (
          <Select {...aria} value={role} onChange={(event) => setRole(event.target.value)}>
            {workspaceRoles.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </Select>
        )}
      </Field>
    </FormShell>
  );
}
