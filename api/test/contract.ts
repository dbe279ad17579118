import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { Answer } from "./harness.ts";

interface Media {
  schema: Node;
}
interface Node {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Node>;
  items?: Node;
  additionalProperties?: unknown;
  anyOf?: Node[];
  oneOf?: Node[];
  allOf?: Node[];
}
interface Document {
  paths: Record<string, Record<string, { responses: Record<string, { content?: Record<string, Media> }> }>>;
  components: { schemas: Record<string, Node> };
}

/** Holds live answers against the API's own document. */
export interface Contract {
  /** `METHOD /path/{template}` of every operation below /api/v1. */
  operations: string[];
  /** Those that were seen to succeed. */
  succeeded: Set<string>;
  /** What about an answer is not as the document says; empty when all is. */
  faultsOf(method: string, path: string, answer: Answer): string[];
}

const pointer = (part: string) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));

export function contractOf(document: Document): Contract {
  // Formats are the annotations that they are in JSON Schema 2020-12; everything else is checked.
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema(document, "document");
  const operations = Object.entries(document.paths)
    .filter(([path]) => path.startsWith("/api/v1"))
    .flatMap(([path, item]) =>
      Object.entries(item).map(([method, { responses }]) => ({
        name: `${method.toUpperCase()} ${path.slice("/api/v1".length)}`,
        method: method.toUpperCase(),
        // Names before parameters: /users/invite is no user.
        literals: path.split("/").filter((part) => !part.startsWith("{")).length,
        pattern: new RegExp(`^${path.slice("/api/v1".length).replace(/\{\w+\}/g, "[^/]+")}$`),
        at: `document#/paths/${pointer(path)}/${method}/responses`,
        responses,
      })),
    )
    .sort((a, b) => b.literals - a.literals);

  const validators = new Map<string, ValidateFunction>();
  const validatorAt = (ref: string) => {
    const found = validators.get(ref) ?? ajv.compile({ $ref: ref });
    validators.set(ref, found);
    return found;
  };

  /** The properties that a schema names, through references and alternatives; null where any may come. */
  const namesOf = (node: Node): Set<string> | null => {
    if (node.$ref) return namesOf(document.components.schemas[node.$ref.split("/").at(-1) ?? ""] ?? {});
    const parts = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? [])];
    if (node.additionalProperties) return null;
    const names = new Set(Object.keys(node.properties ?? {}));
    for (const part of parts) for (const name of namesOf(part) ?? []) names.add(name);
    return names;
  };
  const unknownFields = (node: Node, body: unknown): string[] => {
    if (Array.isArray(body)) return node.items && body[0] !== undefined ? unknownFields(node.items, body[0]) : [];
    if (typeof body !== "object" || body === null) return [];
    const known = namesOf(node);
    return known ? Object.keys(body).filter((name) => !known.has(name)) : [];
  };

  const succeeded = new Set<string>();
  return {
    operations: operations.map(({ name }) => name),
    succeeded,
    faultsOf(method, path, answer) {
      const [bare = ""] = path.split("?");
      const operation = operations.find((one) => one.method === method && one.pattern.test(bare));
      if (!operation) return [];
      const what = `${operation.name} ${answer.status}`;
      const described = operation.responses[String(answer.status)];
      if (!described) return [`${what} is not in the document`];
      if (answer.status < 300) succeeded.add(operation.name);
      const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
      const media = described.content?.[type];
      if (!media) return [`${what} came as ${type}`];
      if (!/[/+]json$/.test(type)) return [];
      const validate = validatorAt(`${operation.at}/${answer.status}/content/${pointer(type)}/schema`);
      const faults = validate(answer.body)
        ? []
        : (validate.errors ?? []).map((one) => `${what} ${one.instancePath} ${one.message}`);
      return [...faults, ...unknownFields(media.schema, answer.body).map((name) => `${what}: ${name} is unknown`)];
    },
  };
}
