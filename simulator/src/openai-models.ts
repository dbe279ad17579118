/** The models of a simulated OpenAI and what each may be asked per minute and day. */
import { type LimitField, listed, type OpenAiState, opaque, type Project, type RateLimit } from "./openai-state.ts";

type Kind = "text" | "embedding" | "image" | "audio";

export function kindOf(model: string): Kind {
  if (model.includes("embedding")) return "embedding";
  if (model.includes("image")) return "image";
  if (/whisper|transcribe|tts/.test(model)) return "audio";
  return "text";
}

/** What the organization may use: a project starts there and may go below. */
const ORGANIZATION: Record<Kind, Partial<Record<LimitField, number>>> = {
  text: {
    max_requests_per_1_minute: 10_000,
    max_tokens_per_1_minute: 2_000_000,
    batch_1_day_max_input_tokens: 200_000_000,
  },
  embedding: { max_requests_per_1_minute: 10_000, max_tokens_per_1_minute: 5_000_000 },
  image: { max_requests_per_1_minute: 500, max_tokens_per_1_minute: 250_000, max_images_per_1_minute: 50 },
  audio: {
    max_requests_per_1_minute: 500,
    max_tokens_per_1_minute: 100_000,
    max_audio_megabytes_per_1_minute: 100,
  },
};

/** Fields that a row may be given although it does not start with them. */
const OPTIONAL: readonly LimitField[] = ["max_requests_per_1_day", "batch_1_day_max_input_tokens"];

export const organizationLimits = (model: string) => ORGANIZATION[kindOf(model)];

export const isRelevant = (model: string, field: LimitField) =>
  organizationLimits(model)[field] !== undefined || OPTIONAL.includes(field);

/** A project's row for a model, made with the organization's values when the model is new to the project. */
export function rateLimitOf(state: OpenAiState, project: Project, model: string): RateLimit {
  const known = project.rateLimits.get(model);
  if (known !== undefined) return known;
  // Some ids look as if they were made of the model's name, and still are not: only the list knows them.
  const id = project.rateLimits.size % 2 === 0 ? `rl-${opaque(12)}` : `rl-${model}-${project.id.slice(-6)}`;
  // As old as can be: a row is part of its project, no list lags behind it.
  const row = { ...listed(state, id, 0), model, limits: { ...organizationLimits(model) } };
  project.rateLimits.set(model, row);
  return row;
}

/** One row per model that the organization has now. */
export function rateLimitsOf(state: OpenAiState, project: Project, models: readonly string[]): RateLimit[] {
  return models.map((model) => rateLimitOf(state, project, model));
}

/** Whether the project's permissions let it use the model. Names are compared as they are: an alias does not cover its snapshots. */
export function mayUse(project: Project, model: string): boolean {
  const permissions = project.modelPermissions;
  if (permissions === null) return true;
  return permissions.model_ids.includes(model) === (permissions.mode === "allow_list");
}
