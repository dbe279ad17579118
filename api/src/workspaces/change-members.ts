import type { DeveloperId, WorkspaceId } from "@keygate/shared/contracts/ids";
import type { AddWorkspaceMember, WorkspaceMemberView, WorkspaceRole } from "@keygate/shared/contracts/workspaces";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Db, Tx } from "@keygate/shared/db/client";
import { developerRows } from "@keygate/shared/db/developers";
import { workspaceRows } from "@keygate/shared/db/workspaces";
import { KeyGateError, must } from "@keygate/shared/errors";
import type { z } from "zod";
import type { KeepAnswer } from "../middleware/idempotency.ts";
import { findWorkspace, lockOpenWorkspace } from "./change-workspace.ts";

type Role = z.infer<typeof WorkspaceRole>;
type MemberView = z.infer<typeof WorkspaceMemberView>;

/** The members, in the order in which they joined. @throws workspace.not_found */
export async function listMembers(db: Db | Tx, id: WorkspaceId): Promise<MemberView[]> {
  await findWorkspace(db, id);
  const members = await workspaceRows(db).members(id);
  return members.map(({ joined_at, ...member }) => ({ ...member, joined_at: joined_at.toISOString() }));
}

async function findMember(tx: Tx, id: WorkspaceId, developerId: DeveloperId): Promise<MemberView> {
  const members = await listMembers(tx, id);
  return must(
    members.find((member) => member.developer_id === developerId),
    "the member just written",
  );
}

const audit = (
  tx: Tx,
  by: Actor,
  action: string,
  id: WorkspaceId,
  details: { developer_id: DeveloperId; role?: Role },
) =>
  writeAudit(tx, {
    action,
    actor: by,
    resourceType: "workspace",
    resourceId: id,
    details: { outcome: "succeeded", ...details },
  });

/**
 * @throws workspace.not_found, workspace.archived, workspace.member_exists, developer.not_found, developer.inactive
 */
export async function addMember(
  deps: { db: Db },
  by: Actor,
  id: WorkspaceId,
  { developer_id, role }: z.output<typeof AddWorkspaceMember>,
  keep: KeepAnswer<MemberView>,
): Promise<MemberView> {
  return deps.db.transaction().execute(async (tx) => {
    await lockOpenWorkspace(tx, id);
    const developer = await developerRows(tx).lock(developer_id);
    if (!developer) throw new KeyGateError("developer.not_found");
    if (!developer.is_active) throw new KeyGateError("developer.inactive");
    if (!(await workspaceRows(tx).addMember(id, developer_id, role))) {
      throw new KeyGateError("workspace.member_exists");
    }
    await audit(tx, by, "workspace.add_member", id, { developer_id, role });
    const member = await findMember(tx, id, developer_id);
    await keep(tx, member);
    return member;
  });
}

/** @throws workspace.not_found, workspace.archived, workspace.member_not_found */
export async function setMemberRole(
  deps: { db: Db },
  by: Actor,
  id: WorkspaceId,
  developerId: DeveloperId,
  role: Role,
): Promise<MemberView> {
  return deps.db.transaction().execute(async (tx) => {
    await lockOpenWorkspace(tx, id);
    if (!(await workspaceRows(tx).setMemberRole(id, developerId, role))) {
      throw new KeyGateError("workspace.member_not_found");
    }
    await audit(tx, by, "workspace.set_member_role", id, { developer_id: developerId, role });
    return findMember(tx, id, developerId);
  });
}

/** Keys that the member has in the workspace stay as they are. @throws workspace.not_found, workspace.member_not_found */
export async function removeMember(
  deps: { db: Db },
  by: Actor,
  id: WorkspaceId,
  developerId: DeveloperId,
): Promise<void> {
  await deps.db.transaction().execute(async (tx) => {
    if (!(await workspaceRows(tx).lock(id))) throw new KeyGateError("workspace.not_found");
    if (!(await workspaceRows(tx).removeMember(id, developerId))) throw new KeyGateError("workspace.member_not_found");
    await audit(tx, by, "workspace.remove_member", id, { developer_id: developerId });
  });
}
