import type { Instructions } from "@keygate/shared/contracts/keys";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";

export interface Snippet {
  title: string;
  /** Where the key itself stands in the text; everything else names it by its variable. */
  text(key: string): string;
  holdsKey: boolean;
}

const textOf = (value: unknown): string | null => (typeof value === "string" && value ? value : null);

function modelOf(instructions: Instructions, fallback: string): string {
  for (const name of ["models", "deployments"] as const) {
    const list = instructions[name];
    if (!Array.isArray(list)) continue;
    const first: unknown = list[0];
    if (typeof first === "string") return first;
    if (typeof first === "object" && first !== null && "name" in first) return String(first.name);
  }
  return fallback;
}

const env = (lines: (key: string) => string[]): Snippet => ({
  title: ".env",
  text: (key) => lines(key).join("\n"),
  holdsKey: true,
});
const plain = (title: string, text: string): Snippet => ({ title, text: () => text, holdsKey: false });

function openai(base: string, model: string): Snippet[] {
  return [
    env((key) => [`OPENAI_API_KEY=${key}`, `OPENAI_BASE_URL=${base}`]),
    plain(
      "curl",
      `curl ${base}/chat/completions \\\n  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '{"model":"${model}","messages":[{"role":"user","content":"Hello"}]}'`,
    ),
    plain(
      "Python",
      `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}")  # reads OPENAI_API_KEY\nanswer = client.chat.completions.create(\n    model="${model}",\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)`,
    ),
    plain(
      "TypeScript",
      `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${base}" }); // reads OPENAI_API_KEY\nconst answer = await client.chat.completions.create({\n  model: "${model}",\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.choices[0]?.message.content);`,
    ),
  ];
}

function anthropic(base: string, model: string): Snippet[] {
  const root = base.replace(/\/v1\/?$/, "");
  return [
    env((key) => [`ANTHROPIC_API_KEY=${key}`, `ANTHROPIC_BASE_URL=${root}`]),
    plain(
      "curl",
      `curl ${root}/v1/messages \\\n  -H "x-api-key: $ANTHROPIC_API_KEY" \\\n  -H "anthropic-version: 2023-06-01" \\\n  -H "content-type: application/json" \\\n  -d '{"model":"${model}","max_tokens":256,"messages":[{"role":"user","content":"Hello"}]}'`,
    ),
    plain(
      "Python",
      `from anthropic import Anthropic\n\nclient = Anthropic(base_url="${root}")  # reads ANTHROPIC_API_KEY\nanswer = client.messages.create(\n    model="${model}",\n    max_tokens=256,\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.content[0].text)`,
    ),
    plain(
      "TypeScript",
      `import Anthropic from "@anthropic-ai/sdk";\n\nconst client = new Anthropic({ baseURL: "${root}" }); // reads ANTHROPIC_API_KEY\nconst answer = await client.messages.create({\n  model: "${model}",\n  max_tokens: 256,\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.content);`,
    ),
  ];
}

function azure(base: string, instructions: Instructions, model: string): Snippet[] {
  const endpoint = textOf(instructions.endpoint) ?? base;
  const v1 = (textOf(instructions.openai_compatible_url) ?? `${base}/openai/v1`).replace(/\/$/, "");
  return [
    env((key) => [
      `AZURE_OPENAI_API_KEY=${key}`,
      `AZURE_OPENAI_ENDPOINT=${endpoint}`,
      `AZURE_OPENAI_BASE_URL=${v1}`,
      `AZURE_OPENAI_DEPLOYMENT=${model}`,
    ]),
    plain(
      "curl",
      `curl ${v1}/chat/completions \\\n  -H "api-key: $AZURE_OPENAI_API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '{"model":"${model}","messages":[{"role":"user","content":"Hello"}]}'`,
    ),
    plain(
      "Python",
      `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url="${v1}", api_key=os.environ["AZURE_OPENAI_API_KEY"])\nanswer = client.chat.completions.create(\n    model="${model}",  # the deployment's name\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)`,
    ),
    plain(
      "TypeScript",
      `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${v1}", apiKey: process.env.AZURE_OPENAI_API_KEY });\nconst answer = await client.chat.completions.create({\n  model: "${model}", // the deployment's name\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.choices[0]?.message.content);`,
    ),
  ];
}

function google(base: string, instructions: Instructions, model: string): Snippet[] {
  const project = textOf(instructions.project_id) ?? "your-project";
  const location = textOf(instructions.location) ?? "global";
  return [
    plain(
      ".env",
      `GOOGLE_APPLICATION_CREDENTIALS=/path/to/keygate-key.json\nGOOGLE_CLOUD_PROJECT=${project}\nGOOGLE_CLOUD_LOCATION=${location}`,
    ),
    plain(
      "curl",
      `gcloud auth activate-service-account --key-file="$GOOGLE_APPLICATION_CREDENTIALS"\ncurl ${base}/publishers/google/models/${model}:generateContent \\\n  -H "Authorization: Bearer $(gcloud auth print-access-token)" \\\n  -H "Content-Type: application/json" \\\n  -d '{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}'`,
    ),
    plain(
      "Python",
      `from google import genai\n\n# Reads GOOGLE_APPLICATION_CREDENTIALS.\nclient = genai.Client(vertexai=True, project="${project}", location="${location}")\nanswer = client.models.generate_content(model="${model}", contents="Hello")\nprint(answer.text)`,
    ),
    plain(
      "TypeScript",
      `import { GoogleGenAI } from "@google/genai";\n\n// Reads GOOGLE_APPLICATION_CREDENTIALS.\nconst client = new GoogleGenAI({ vertexai: true, project: "${project}", location: "${location}" });\nconst answer = await client.models.generateContent({ model: "${model}", contents: "Hello" });\nconsole.log(answer.text);`,
    ),
  ];
}

/** What to paste where, for a key of this vendor. */
export function snippetsFor(vendor: VendorId, instructions: Instructions, firstModel: string): Snippet[] {
  const base = instructions.base_url.replace(/\/$/, "");
  const model = modelOf(instructions, firstModel);
  switch (vendor as string) {
    case "anthropic":
      return anthropic(base, model);
    case "azure_openai":
      return azure(base, instructions, model);
    case "google_vertex":
      return google(base, instructions, model);
    default:
      return openai(base, model);
  }
}
