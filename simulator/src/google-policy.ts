/** The project's IAM policy: one document, read and written whole, guarded by its etag. */
import { z } from "zod";
import type { SimContext } from "./core.ts";
import { conditionFault, demand, holds, isVisible, spreadGrants } from "./google-access.ts";
import { bodyOf, denied, type GoogleCall, knownQuery, mistake, Refusal } from "./google-http.ts";
import { type Binding, type GoogleWorld, note, settingsOf } from "./google-world.ts";

type Call = GoogleCall<GoogleWorld>;

const PRINCIPALS_MAX = 1500;
const CONDITIONS_MAX = 20;

const etagOf = (world: GoogleWorld) => Buffer.from(`\u0007revision ${world.policy.revision}`).toString("base64");

const hasConditions = (bindings: Binding[]) => bindings.some(({ condition }) => condition !== undefined);

const without = ({ role, members }: Binding): Binding => ({ role, members: [...members] });

/** A policy without conditions says version 1, whatever was asked for. */
function view(world: GoogleWorld, bindings: Binding[]): unknown {
  const { auditConfigs } = world.policy;
  return {
    version: hasConditions(bindings) ? 3 : 1,
    etag: etagOf(world),
    bindings: structuredClone(bindings),
    ...(auditConfigs.length > 0 && { auditConfigs }),
  };
}

function enter({ world, sim, params, member }: Call, permission: string): void {
  if (params[0] !== world.projectId && params[0] !== world.projectNumber) throw denied(permission);
  demand(world, sim, member, permission);
}

const Version = z.union([z.literal(0), z.literal(1), z.literal(3)]);
const Reading = z.strictObject({
  options: z.strictObject({ requestedPolicyVersion: Version.optional() }).optional(),
});

/** Asked for less than version 3, the conditions are left out: writing that back would strip them. */
export function getPolicy(call: Call): unknown {
  const { world, req, sim } = call;
  knownQuery(req);
  const { options } = bodyOf(req, Reading);
  enter(call, "resourcemanager.projects.getIamPolicy");
  const { bindings } = world.policy;
  if (options?.requestedPolicyVersion === 3 || !hasConditions(bindings)) return view(world, bindings);
  sim.violation("a policy with conditions was read without asking for version 3");
  return view(world, bindings.map(without));
}

const NewBinding = z.strictObject({
  role: z.string(),
  members: z.array(z.string()),
  condition: z
    .strictObject({
      title: z.string().min(1).max(100),
      description: z.string().max(256).optional(),
      expression: z.string(),
      location: z.string().optional(),
    })
    .optional(),
});

const Writing = z.strictObject({
  policy: z.strictObject({
    version: Version.optional(),
    etag: z.string().optional(),
    bindings: z.array(NewBinding).default([]),
    auditConfigs: z.array(z.unknown()).optional(),
  }),
  updateMask: z.string().optional(),
});

/** Replaces the whole policy if the etag still fits; without one, the last writer wins over everybody. */
export function setPolicy(call: Call): unknown {
  const { world, req, sim, member } = call;
  knownQuery(req);
  const { policy, updateMask } = bodyOf(req, Writing);
  enter(call, "resourcemanager.projects.setIamPolicy");
  if (!policy.etag) sim.violation("a policy was written without its etag");
  else if (policy.etag !== etagOf(world)) {
    throw new Refusal(
      "ABORTED",
      "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
    );
  }
  const isOld = policy.version !== 3;
  if (isOld && (hasConditions(policy.bindings) || hasConditions(world.policy.bindings))) {
    sim.violation("a policy with conditions was written without version 3");
  }
  const bindings = merged(isOld ? policy.bindings.map(without) : policy.bindings);
  checkBindings(world, sim, bindings);
  checkGrantable(world, sim, member, bindings);
  if (updateMask?.split(",").includes("auditConfigs")) world.policy.auditConfigs = policy.auditConfigs ?? [];
  replaceBindings(world, sim, bindings, member);
  return view(world, world.policy.bindings);
}

function replaceBindings(world: GoogleWorld, sim: SimContext, bindings: Binding[], by: string): void {
  world.policy.bindings = bindings;
  world.policy.revision += 1;
  spreadGrants(world, sim, bindings);
  note(world, sim, "policy.set", { by, revision: world.policy.revision, bindings: structuredClone(bindings) });
}

/** Same role and same condition is the same binding; one without members is none. */
function merged(bindings: Binding[]): Binding[] {
  const known = new Map<string, Binding>();
  for (const { role, members, condition } of bindings) {
    const key = JSON.stringify([role, condition?.title, condition?.description, condition?.expression]);
    const binding = known.get(key) ?? { role, members: [], ...(condition && { condition }) };
    binding.members = [...new Set([...binding.members, ...members])];
    known.set(key, binding);
  }
  return [...known.values()].filter(({ members }) => members.length > 0);
}

const FOREIGN_MEMBER =
  /^(allUsers|allAuthenticatedUsers|(user|group|domain|serviceAccount|principal|principalSet):\S+|deleted:(user|group|principal):\S+)$/;

function checkBindings(world: GoogleWorld, sim: SimContext, bindings: Binding[]): void {
  const all = bindings.flatMap(({ members }) => members);
  if (all.length > PRINCIPALS_MAX) throw new Refusal("INVALID_ARGUMENT", "The policy has too many principals.");
  const uses = new Map<string, number>();
  for (const { role, members, condition } of bindings) {
    checkRole(world, role);
    const fault = condition === undefined ? null : conditionFault(condition.expression);
    if (fault !== null) throw mistake(`Invalid condition: ${fault}`);
    for (const member of members) {
      checkMember(world, sim, member, all);
      const key = `${role} ${member}`;
      uses.set(key, (uses.get(key) ?? 0) + 1);
      if ((uses.get(key) ?? 0) > CONDITIONS_MAX) throw mistake(`Too many conditions for ${key}`);
    }
  }
}

function checkRole(world: GoogleWorld, role: string): void {
  const isKnown = role.startsWith("projects/")
    ? world.roles.has(role)
    : /^(roles|organizations\/\d+\/roles)\/[\w.]+$/.test(role);
  if (!isKnown) throw new Refusal("INVALID_ARGUMENT", `Role ${role} is not supported for this resource.`);
}

function checkMember(world: GoogleWorld, sim: SimContext, member: string, all: string[]): void {
  const [, isDeleted, email, uid] = /^(deleted:)?serviceAccount:([^?]+)(?:\?uid=(\d+))?$/.exec(member) ?? [];
  if (email?.endsWith(`@${world.projectId}.iam.gserviceaccount.com`)) {
    if (isDeleted === undefined) {
      const account = world.accounts.findLast((known) => known.email === email);
      if (account !== undefined && isVisible(account, sim)) return;
      throw new Refusal("INVALID_ARGUMENT", `Service account ${email} does not exist.`);
    }
    const isGone = world.accounts.some(({ uniqueId, deletedAt }) => uniqueId === uid && deletedAt !== null);
    if (isGone && !all.includes(`serviceAccount:${email}`)) return;
    throw new Refusal("INVALID_ARGUMENT", `Principal ${member} is not in a form that can be written.`);
  }
  if (!FOREIGN_MEMBER.test(member)) throw mistake(`The member ${member} is of an unknown type.`);
}

/** A condition on the admin's own binding can limit the roles whose bindings it may change. */
function checkGrantable(world: GoogleWorld, sim: SimContext, member: string, bindings: Binding[]): void {
  const { admin_grants } = settingsOf(sim);
  if (admin_grants === null || member !== `serviceAccount:${world.adminEmail}`) return;
  const ofRole = (all: Binding[], role: string) => JSON.stringify(all.filter((binding) => binding.role === role));
  for (const { role } of [...world.policy.bindings, ...bindings]) {
    const hasChanged = ofRole(world.policy.bindings, role) !== ofRole(bindings, role);
    if (hasChanged && !admin_grants.includes(role)) throw denied("resourcemanager.projects.setIamPolicy");
  }
}

/** Writes another spelling of a member wherever it is named; the document changes, so its etag does. */
export function renameMember(world: GoogleWorld, sim: SimContext, from: string, to: string): void {
  if (!world.policy.bindings.some(({ members }) => members.includes(from))) return;
  const renamed = world.policy.bindings.map((binding) => ({
    ...binding,
    members: binding.members.map((member) => (member === from ? to : member)),
  }));
  replaceBindings(world, sim, renamed, "google");
}

const Asked = z.strictObject({ permissions: z.array(z.string().regex(/^[a-zA-Z]+\.\w+\.\w+$/)).max(100) });

/** The subset that the caller holds; nothing at all when there is none. */
export function testPermissions(call: Call): unknown {
  const { world, req, sim, params, member } = call;
  knownQuery(req);
  const { permissions } = bodyOf(req, Asked);
  if (params[0] !== world.projectId && params[0] !== world.projectNumber) throw denied("resourcemanager.projects.get");
  const untestable = permissions.find((permission) => permission.startsWith("billing."));
  if (untestable !== undefined) throw mistake(`Permission ${untestable} is not valid for this resource.`);
  const held = permissions.filter((permission) => holds(world, sim, member, permission));
  return held.length === 0 ? {} : { permissions: held };
}

const Edit = z.strictObject({
  add: NewBinding.optional(),
  remove: z.strictObject({ role: z.string(), member: z.string() }).optional(),
});

/** Control: a colleague changes the policy behind everybody's back. */
export function editPolicy(world: GoogleWorld, sim: SimContext, body: unknown): void {
  const { add, remove } = Edit.parse(body);
  const kept = world.policy.bindings.map((binding) => ({
    ...binding,
    members: binding.members.filter((member) => binding.role !== remove?.role || member !== remove.member),
  }));
  replaceBindings(world, sim, merged(add === undefined ? kept : [...kept, add]), "stranger");
}
