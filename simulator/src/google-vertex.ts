/** What a developer does with the key: counting tokens and generating, in one project and region. */
import { z } from "zod";
import { demand, PREDICT } from "./google-access.ts";
import { bodyOf, denied, type GoogleCall, knownQuery, Refusal } from "./google-http.ts";
import { type GoogleWorld, note } from "./google-world.ts";

type Call = GoogleCall<GoogleWorld>;

const Prompt = z.looseObject({
  contents: z
    .array(
      z.looseObject({ role: z.string().optional(), parts: z.array(z.looseObject({ text: z.string().optional() })) }),
    )
    .min(1),
});

const MODEL = /^gemini-[\w.-]+$/;

function enter(call: Call): { model: string; text: string } {
  const { world, req, sim, params, member } = call;
  const [project, location, model = ""] = params;
  const resource = `//aiplatform.googleapis.com/projects/${project}/locations/${location}/publishers/google/models/${model}`;
  knownQuery(req);
  if (project !== world.projectId && project !== world.projectNumber) throw denied(PREDICT, resource);
  demand(world, sim, member, PREDICT, resource);
  const { contents } = bodyOf(req, Prompt);
  if (!MODEL.test(model)) throw new Refusal("NOT_FOUND", `Publisher Model ${model} was not found.`);
  return { model, text: contents.flatMap(({ parts }) => parts.map(({ text }) => text ?? "")).join(" ") };
}

const tokensIn = (text: string) => Math.max(1, Math.ceil(text.length / 4));

/** Free of charge, and needs what a real call needs. */
export function countTokens(call: Call): unknown {
  const { text } = enter(call);
  const tokenCount = tokensIn(text);
  return {
    totalTokens: tokenCount,
    totalBillableCharacters: text.replaceAll(/\s/g, "").length,
    promptTokensDetails: [{ modality: "TEXT", tokenCount }],
  };
}

export function generateContent(call: Call): unknown {
  const { model, text } = enter(call);
  note(call.world, call.sim, "content.generated", { member: call.member, model });
  const promptTokenCount = tokensIn(text);
  return {
    candidates: [
      { content: { role: "model", parts: [{ text: "This is a simulated answer." }] }, finishReason: "STOP" },
    ],
    usageMetadata: { promptTokenCount, candidatesTokenCount: 6, totalTokenCount: promptTokenCount + 6 },
    modelVersion: model,
    createTime: new Date(call.sim.now()).toISOString(),
  };
}
