import { z } from "zod";
import {
  activeProjectOf,
  ListQuery,
  newestFirst,
  type OpenAiCall,
  ok,
  page,
  projectOf,
  type Route,
  readBody,
  readQuery,
  refusal,
} from "./openai-call.ts";
import { deleteKeys, newProject, note, type Project, seconds } from "./openai-state.ts";

const Residency = z.enum([
  "GLOBAL",
  "US_STORAGE_PROCESSING",
  "EU_STORAGE_PROCESSING",
  "JP_STORAGE",
  "KR_STORAGE",
  "CA_STORAGE",
  "SG_STORAGE",
  "IN_STORAGE",
  "AU_STORAGE",
  "GB_STORAGE",
  "AE_STORAGE",
  "AE_STORAGE_PROCESSING",
  "JP_STORAGE_PROCESSING",
  "IN_STORAGE_PROCESSING",
  "AU_STORAGE_PROCESSING",
]);
const Create = z.strictObject({
  name: z.string().min(1),
  residency: Residency.nullish(),
  external_key_id: z.string().nullish(),
  geography: z.string().nullish(),
});
const Update = z.strictObject({ name: z.string().min(1).nullish(), external_key_id: z.string().nullish() });
const Nothing = z.strictObject({});
const ProjectsQuery = ListQuery.extend({ include_archived: z.enum(["true", "false"]).default("false") });

const view = (project: Project) => ({
  id: project.id,
  object: "organization.project",
  name: project.name,
  created_at: seconds(project.createdAtMs),
  archived_at: project.archivedAtMs === null ? null : seconds(project.archivedAtMs),
  status: project.archivedAtMs === null ? "active" : "archived",
  external_key_id: project.externalKeyId,
  residency: project.residency,
});

function changeable(call: OpenAiCall): Project {
  const project = activeProjectOf(call);
  if (project.isDefault) throw refusal(400, "The default project cannot be modified.");
  return project;
}

export const projectRoutes: Route[] = [
  [
    "POST",
    "/organization/projects",
    (call) => {
      const body = readBody(call, Create);
      const { state, nowMs, settings } = call;
      if (state.projects.length >= settings.projects_max) {
        throw refusal(400, `The organization has reached its maximum of ${settings.projects_max} projects.`);
      }
      const project: Project = {
        ...newProject(state, nowMs),
        name: body.name,
        externalKeyId: body.external_key_id ?? null,
        residency: body.residency ?? "GLOBAL",
      };
      state.projects.push(project);
      note(state, nowMs, "project.created", { project_id: project.id });
      return ok(view(project));
    },
  ],
  [
    "GET",
    "/organization/projects",
    (call) => {
      const query = readQuery(call, ProjectsQuery);
      const shown = (project: Project) => query.include_archived === "true" || project.archivedAtMs === null;
      return page(call, newestFirst(call.state.projects), query, shown, view);
    },
    "query",
  ],
  ["GET", "/organization/projects/{project_id}", (call) => ok(view(projectOf(call)))],
  [
    "POST",
    "/organization/projects/{project_id}",
    (call) => {
      const body = readBody(call, Update);
      const project = changeable(call);
      if (body.name != null) project.name = body.name;
      if (body.external_key_id !== undefined) project.externalKeyId = body.external_key_id;
      note(call.state, call.nowMs, "project.updated", { project_id: project.id });
      return ok(view(project));
    },
  ],
  [
    "POST",
    "/organization/projects/{project_id}/archive",
    (call) => {
      readBody(call, Nothing);
      const { state, nowMs } = call;
      const project = changeable(call);
      project.archivedAtMs = nowMs;
      for (const account of state.accounts) {
        if (account.projectId === project.id) account.deletedAtMs ??= nowMs;
      }
      note(state, nowMs, "project.archived", { project_id: project.id });
      deleteKeys(state, nowMs, (key) => key.projectId === project.id);
      return ok(view(project));
    },
  ],
];
