/** What stands around the project: custom roles, organization policies, enabled APIs, and the check of conditions. */
import { z } from "zod";
import type { SimContext } from "./core.ts";
import { conditionFault, demand, PREDEFINED_ROLES } from "./google-access.ts";
import { bodyOf, denied, type GoogleCall, knownQuery, mistake, Refusal } from "./google-http.ts";
import { CONSTRAINTS, type GoogleWorld, note, type Role, settingsOf } from "./google-world.ts";

type Call = GoogleCall<GoogleWorld>;

function enter({ world, sim, params, member }: Call, permission: string): void {
  if (params[0] !== world.projectId && params[0] !== world.projectNumber) throw denied(permission);
  demand(world, sim, member, permission);
}

/** The refusal by the first organization policy that forbids this kind of thing, if one is in force. */
export function preconditionFailure(sim: SimContext, kind: keyof typeof CONSTRAINTS, subject: string): Refusal | null {
  const inForce: string[] = settingsOf(sim).constraints;
  const constraint = CONSTRAINTS[kind].find((name) => inForce.includes(name));
  if (constraint === undefined) return null;
  const description =
    kind === "account" ? "Account creation is not allowed." : `Key ${kind} is not allowed on this service account.`;
  return new Refusal("FAILED_PRECONDITION", description, {
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
        violations: [{ type: `constraints/${constraint}`, subject, description }],
      },
    ],
  });
}

const NewRole = z.strictObject({
  roleId: z.string().regex(/^[\w.]{3,64}$/),
  role: z.strictObject({
    title: z.string().max(100).default(""),
    description: z.string().max(300).default(""),
    includedPermissions: z.array(z.string().regex(/^[a-zA-Z]+\.\w+\.\w+$/)).default([]),
    stage: z.enum(["ALPHA", "BETA", "GA", "DEPRECATED", "DISABLED", "EAP"]).default("ALPHA"),
  }),
});

const roleView = (role: Role) => ({ ...role, etag: "BwYSIMULATED=" });

export function createRole(call: Call): unknown {
  const { world, req, sim } = call;
  knownQuery(req);
  const { roleId, role } = bodyOf(req, NewRole);
  enter(call, "iam.roles.create");
  const name = `projects/${world.projectId}/roles/${roleId}`;
  if (world.roles.has(name)) {
    throw new Refusal("ALREADY_EXISTS", `A role named ${roleId} in projects/${world.projectId} already exists.`);
  }
  const made = { name, ...role };
  world.roles.set(name, made);
  note(world, sim, "role.created", { name, permissions: role.includedPermissions });
  return roleView(made);
}

export function showRole(call: Call): unknown {
  const { world, req, params } = call;
  knownQuery(req);
  enter(call, "iam.roles.get");
  const role = world.roles.get(`projects/${world.projectId}/roles/${params[1]}`);
  if (role === undefined) throw new Refusal("NOT_FOUND", `The role named ${params[1]} was not found.`);
  return roleView(role);
}

export function showPredefinedRole({ req, params }: Call): unknown {
  knownQuery(req);
  const name = `roles/${params[0]}`;
  const includedPermissions = PREDEFINED_ROLES[name];
  if (includedPermissions === undefined) throw new Refusal("NOT_FOUND", `The role named ${name} was not found.`);
  return { name, title: name, includedPermissions, stage: "GA", etag: "AA==" };
}

const Lint = z.strictObject({
  condition: z.looseObject({ expression: z.string() }),
  fullResourceName: z.string().optional(),
});

/** Always 200; what it found is in the results. */
export function lintPolicy({ req }: Call): unknown {
  const { condition } = bodyOf(req, Lint);
  const debugMessage = conditionFault(condition.expression);
  if (debugMessage === null) return {};
  const finding = { level: "CONDITION", severity: "ERROR", fieldName: "condition.expression", debugMessage };
  return { lintResults: [finding] };
}

/** At most 30 names, each of this project. */
export function getServices(call: Call): unknown {
  const { world, req, sim } = call;
  knownQuery(req, ["names"]);
  enter(call, "serviceusage.services.get");
  const names = req.query.getAll("names");
  if (names.length === 0 || names.length > 30) throw mistake("names: between 1 and 30");
  const disabled = settingsOf(sim).disabled_services;
  const services = names.map((name) => {
    const [, project, service = ""] = /^projects\/([^/]+)\/services\/([\w.-]+)$/.exec(name) ?? [];
    if (project !== world.projectId && project !== world.projectNumber) throw mistake(`names: ${name}`);
    return {
      name: `projects/${world.projectNumber}/services/${service}`,
      parent: `projects/${world.projectNumber}`,
      config: { name: service },
      state: disabled.includes(service) ? "DISABLED" : "ENABLED",
    };
  });
  return { services };
}

/** Constraints with a list of values instead of a switch; none is restricted here. */
const LIST_CONSTRAINTS = [
  "iam.serviceAccountKeyExpiryHours",
  "iam.serviceAccountKeyExposureResponse",
  "vertexai.allowedModels",
];
const API_KEYS = "iam.managed.disableServiceAccountApiKeyCreation";

export function getEffectivePolicy(call: Call): unknown {
  const { world, req, sim, params } = call;
  knownQuery(req);
  enter(call, "orgpolicy.policy.get");
  const constraint = params[1] ?? "";
  const name = `projects/${world.projectNumber}/policies/${constraint}`;
  if (LIST_CONSTRAINTS.includes(constraint)) return { name, spec: { rules: [{ allowAll: true }] } };
  const inForce: string[] = settingsOf(sim).constraints;
  if (constraint !== API_KEYS && !Object.values(CONSTRAINTS).flat().includes(constraint)) {
    throw new Refusal("NOT_FOUND", `Constraint ${constraint} was not found.`);
  }
  // Keys for the API bound to accounts are forbidden by default, everywhere.
  return { name, spec: { rules: [{ enforce: constraint === API_KEYS || inForce.includes(constraint) }] } };
}
