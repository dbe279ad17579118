/** Anthropic's Admin API: organization, workspaces, their members, and the organization's users. */
import { z } from "zod";
import {
  type AnthropicCall,
  bodyOf,
  flagOf,
  ID_PAGE_QUERY,
  knownQuery,
  mistake,
  noBody,
  notFound,
  pageById,
  Refusal,
  timeOf,
} from "./anthropic-http.ts";
import {
  type AnthropicWorld,
  isListed,
  newWorkspace,
  note,
  setStatus,
  settingsOf,
  type User,
  type Workspace,
} from "./anthropic-world.ts";

type Call = AnthropicCall<AnthropicWorld>;

export function showOrganization({ world, req }: Call): unknown {
  knownQuery(req, []);
  return { id: world.organization.id, type: "organization", name: world.organization.name };
}

const Tags = z.record(z.string().min(1), z.string());
const TagChanges = z.record(z.string().min(1), z.string().nullable());
const Color = z.string().regex(/^#[0-9A-Fa-f]{6}$/);
const Geo = z.enum(["global", "us"]);
const ResidencyChanges = z.strictObject({
  allowed_inference_geos: z.union([z.literal("unrestricted"), z.array(Geo)]).nullish(),
  default_inference_geo: Geo.nullish(),
});

const NewWorkspace = z.strictObject({
  name: z.string().min(1),
  tags: Tags.nullish(),
  display_color: Color.nullish(),
  data_residency: ResidencyChanges.extend({ workspace_geo: z.literal("us").nullish() }).nullish(),
});

const WorkspaceChanges = z.strictObject({
  name: z.string().min(1).optional(),
  tags: TagChanges.nullish(),
  display_color: Color.optional(),
  data_residency: ResidencyChanges.nullish(),
});

function view(workspace: Workspace): unknown {
  return {
    id: workspace.id,
    type: "workspace",
    name: workspace.name,
    created_at: timeOf(workspace.createdAt),
    archived_at: workspace.archivedAt === null ? null : timeOf(workspace.archivedAt),
    display_color: workspace.displayColor,
    tags: workspace.tags,
    data_residency: workspace.dataResidency,
    compartment_id: workspace.compartmentId,
    external_key_id: null,
    user_profile_id: null,
  };
}

/** The workspace of that id, archived or not. */
export function findWorkspace(world: AnthropicWorld, id: string | undefined): Workspace {
  const workspace = world.workspaces.find((known) => known.id === id);
  if (workspace === undefined) throw notFound("Workspace");
  return workspace;
}

/** The workspace of that id, if it can be changed: not the default one, not archived. */
export function findChangeable(world: AnthropicWorld, id: string | undefined): Workspace {
  const workspace = findWorkspace(world, id);
  if (workspace.isDefault) throw mistake("The default workspace cannot be changed.");
  if (workspace.archivedAt !== null) throw new Refusal(400, "The workspace is archived.");
  return workspace;
}

function applyTags(workspace: Workspace, changes: Record<string, string | null>): void {
  for (const [name, value] of Object.entries(changes)) {
    if (name.startsWith("anthropic")) throw mistake(`tags: ${name} begins with a reserved prefix`);
    if (value === null) delete workspace.tags[name];
    else workspace.tags[name] = value;
  }
}

function applyResidency(workspace: Workspace, changes: z.output<typeof ResidencyChanges>): void {
  for (const [name, value] of Object.entries(changes)) {
    if (value !== null && value !== undefined) workspace.dataResidency[name] = value;
  }
}

export function createWorkspace({ world, req, sim }: Call): unknown {
  knownQuery(req, []);
  const wanted = bodyOf(req, NewWorkspace);
  const active = world.workspaces.filter(({ isDefault, archivedAt }) => !isDefault && archivedAt === null);
  if (active.length >= settingsOf(sim).workspaces_max) {
    throw new Refusal(400, "The organization has reached its limit of active workspaces.");
  }
  // Two workspaces may carry the same name: the API promises nothing else, so nobody may find one by it.
  const workspace = newWorkspace(wanted.name, sim.now());
  if (wanted.display_color) workspace.displayColor = wanted.display_color;
  applyTags(workspace, wanted.tags ?? {});
  applyResidency(workspace, wanted.data_residency ?? {});
  world.workspaces.push(workspace);
  note(world, sim, "workspace.created", { id: workspace.id, name: workspace.name, tags: { ...workspace.tags } });
  return view(workspace);
}

export function listWorkspaces({ world, req, sim }: Call): unknown {
  knownQuery(req, [...ID_PAGE_QUERY, "include_archived", "include_default", "ids[]"]);
  const ids = req.query.getAll("ids[]");
  if (ids.length > 100) throw mistake("ids: at most 100");
  const withArchived = flagOf(req, "include_archived");
  const withDefault = flagOf(req, "include_default");
  const isWanted = (workspace: Workspace) =>
    isListed(workspace, sim) &&
    (withArchived || workspace.archivedAt === null) &&
    (withDefault || !workspace.isDefault) &&
    (ids.length === 0 || ids.includes(workspace.id));
  return pageById(req, world.workspaces.toReversed(), isWanted, view);
}

export function showWorkspace({ world, req, params }: Call): unknown {
  knownQuery(req, []);
  return view(findWorkspace(world, params[0]));
}

export function updateWorkspace({ world, req, sim, params }: Call): unknown {
  knownQuery(req, []);
  const changes = bodyOf(req, WorkspaceChanges);
  const workspace = findChangeable(world, params[0]);
  applyTags(workspace, changes.tags ?? {});
  if (changes.name !== undefined) workspace.name = changes.name;
  if (changes.display_color !== undefined) workspace.displayColor = changes.display_color;
  applyResidency(workspace, changes.data_residency ?? {});
  note(world, sim, "workspace.updated", { id: workspace.id, changes });
  return view(workspace);
}

/** Permanent, and takes the workspace's keys along. A second time is an error, as for every archived workspace. */
export function archiveWorkspace({ world, req, sim, params }: Call): unknown {
  knownQuery(req, []);
  noBody(req);
  const workspace = findChangeable(world, params[0]);
  workspace.archivedAt = sim.now();
  note(world, sim, "workspace.archived", { id: workspace.id });
  for (const key of world.keys) {
    if (key.workspaceId === workspace.id) setStatus(world, sim, key, "archived", "workspace archived");
  }
  return view(workspace);
}

const Role = z.enum(["workspace_user", "workspace_developer", "workspace_restricted_developer", "workspace_admin"]);

function memberView(workspace: Workspace, userId: string): unknown {
  const workspace_role = workspace.members.get(userId);
  if (workspace_role === undefined) throw notFound("Workspace member");
  return { type: "workspace_member", user_id: userId, workspace_id: workspace.id, workspace_role };
}

/** Adding a member twice replaces the role. */
export function addMember({ world, req, sim, params }: Call): unknown {
  knownQuery(req, []);
  const wanted = bodyOf(req, z.strictObject({ user_id: z.string(), workspace_role: Role }));
  const workspace = findChangeable(world, params[0]);
  if (!world.users.some(({ id }) => id === wanted.user_id)) throw notFound("User");
  workspace.members.set(wanted.user_id, wanted.workspace_role);
  note(world, sim, "member.added", { workspace_id: workspace.id, ...wanted });
  return memberView(workspace, wanted.user_id);
}

export function listMembers({ world, req, params }: Call): unknown {
  knownQuery(req, ID_PAGE_QUERY);
  const workspace = findWorkspace(world, params[0]);
  const members = [...workspace.members.keys()].map((id) => ({ id }));
  return pageById(
    req,
    members,
    () => true,
    ({ id }) => memberView(workspace, id),
  );
}

export function showMember({ world, req, params }: Call): unknown {
  knownQuery(req, []);
  return memberView(findWorkspace(world, params[0]), params[1] ?? "");
}

export function updateMember({ world, req, sim, params: [workspaceId, userId = ""] }: Call): unknown {
  knownQuery(req, []);
  const { workspace_role } = bodyOf(req, z.strictObject({ workspace_role: Role.or(z.literal("workspace_billing")) }));
  const workspace = findChangeable(world, workspaceId);
  memberView(workspace, userId);
  workspace.members.set(userId, workspace_role);
  note(world, sim, "member.updated", { workspace_id: workspace.id, user_id: userId, workspace_role });
  return memberView(workspace, userId);
}

/** Also ends the personal keys that the user has in the workspace. */
export function removeMember({ world, req, sim, params: [workspaceId, userId = ""] }: Call): unknown {
  knownQuery(req, []);
  noBody(req);
  const workspace = findChangeable(world, workspaceId);
  memberView(workspace, userId);
  workspace.members.delete(userId);
  note(world, sim, "member.removed", { workspace_id: workspace.id, user_id: userId });
  archiveKeysOf(world, sim, userId, workspace.id);
  return { type: "workspace_member_deleted", user_id: userId, workspace_id: workspace.id };
}

function archiveKeysOf(world: AnthropicWorld, sim: Call["sim"], userId: string, workspaceId: string | null): void {
  for (const key of world.keys) {
    const isTheirs = key.principal?.type === "user_actor" && key.principal.user_id === userId;
    if (!isTheirs || (workspaceId !== null && key.workspaceId !== workspaceId)) continue;
    setStatus(world, sim, key, "archived", "its user left");
  }
}

const userView = ({ id, email, name, role, addedAt }: User) => ({
  id,
  type: "user",
  email,
  name,
  role,
  added_at: timeOf(addedAt),
});

export function listUsers({ world, req }: Call): unknown {
  knownQuery(req, [...ID_PAGE_QUERY, "email", "roles[]"]);
  const email = req.query.get("email");
  const roles = req.query.getAll("roles[]");
  const isWanted = (user: User) =>
    (email === null || user.email === email) && (!roles.length || roles.includes(user.role));
  return pageById(req, world.users.toReversed(), isWanted, userView);
}

function findUser(world: AnthropicWorld, id: string | undefined): User {
  const user = world.users.find((known) => known.id === id);
  if (user === undefined) throw notFound("User");
  return user;
}

export function showUser({ world, req, params }: Call): unknown {
  knownQuery(req, []);
  return userView(findUser(world, params[0]));
}

/** Takes the user out of every workspace; personal keys are archived and do not come back. */
export function removeUser({ world, req, sim, params }: Call): unknown {
  knownQuery(req, []);
  noBody(req);
  const user = findUser(world, params[0]);
  if (user.role === "admin") throw new Refusal(400, "Admins cannot be removed by the API.");
  world.users = world.users.filter(({ id }) => id !== user.id);
  for (const workspace of world.workspaces) workspace.members.delete(user.id);
  note(world, sim, "user.removed", { id: user.id });
  archiveKeysOf(world, sim, user.id, null);
  return { id: user.id, type: "user_deleted" };
}
