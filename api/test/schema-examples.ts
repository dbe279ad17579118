/** As much of JSON Schema as the API's document uses. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  enum?: unknown[];
  const?: unknown;
  example?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  pattern?: string;
  format?: string;
  minimum?: number;
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  required?: boolean;
  schema: Schema;
}

export interface Operation {
  method: string;
  path: string;
  parameters: Parameter[];
  body: Schema | null;
  /** Whether it asks for a token: always, where one is brought, or never. */
  token: "needed" | "optional" | "ignored";
}

interface Document {
  components: { schemas: Record<string, Schema> };
  paths: Record<
    string,
    Record<
      string,
      {
        parameters?: Parameter[];
        requestBody?: { content: Record<string, { schema: Schema }> };
        security?: Record<string, unknown>[];
      }
    >
  >;
}

function tokenOf(security: Record<string, unknown>[]): Operation["token"] {
  if (security.length === 0) return "ignored";
  return security.every((one) => "bearer" in one) ? "needed" : "optional";
}

/** Every operation of the API's own document below `/api/v1`, with references resolved one level deep. */
export function operationsOf(document: Document): Operation[] {
  const resolve = (schema: Schema): Schema =>
    schema.$ref ? (document.components.schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {}) : schema;
  const deep = (schema: Schema): Schema => {
    const own = resolve(schema);
    const properties = Object.entries(own.properties ?? {}).map(([name, member]) => [name, deep(member)] as const);
    return {
      ...own,
      ...(own.properties ? { properties: Object.fromEntries(properties) } : {}),
      ...(own.items ? { items: deep(own.items) } : {}),
    };
  };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    path.startsWith("/api/v1")
      ? Object.entries(methods).map(([method, operation]) => {
          const body = operation.requestBody?.content["application/json"]?.schema;
          return {
            method: method.toUpperCase(),
            path: path.slice("/api/v1".length),
            parameters: (operation.parameters ?? []).map((one) => ({ ...one, schema: resolve(one.schema) })),
            body: body ? deep(body) : null,
            token: tokenOf(operation.security ?? []),
          };
        })
      : [],
  );
}

const typeOf = (schema: Schema): string | undefined => {
  const types = [schema.type ?? []].flat();
  return types.find((type) => type !== "null") ?? types[0];
};

/** A value that the schema accepts, as far as the schema says what it accepts. */
export function exampleOf(schema: Schema): unknown {
  if (schema.example !== undefined) return schema.example;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const first = (schema.anyOf ?? schema.oneOf)?.find((one) => typeOf(one) !== "null");
  if (first) return exampleOf(first);
  switch (typeOf(schema)) {
    case "object": {
      // Where nothing is required something may be all the same ("nothing to change"): the first field stands for it.
      const names = schema.required ?? Object.keys(schema.properties ?? {}).slice(0, 1);
      return Object.fromEntries(names.map((name) => [name, exampleOf(schema.properties?.[name] ?? {})]));
    }
    case "array":
      return [exampleOf(schema.items ?? {})];
    case "integer":
    case "number":
      return Math.max(1, schema.minimum ?? 1);
    case "boolean":
      return true;
    default:
      if (schema.format === "email") return "grace@keygate.test";
      // Patterns are few: a claim token is 43 characters of base64url, a colour is the other one.
      return schema.pattern?.includes("{43}") ? "A".repeat(43) : schema.pattern ? "#336699" : "example text";
  }
}

/** A value of a type that the schema does not have. */
export function wrongTypeFor(schema: Schema): unknown {
  const isObject = typeOf(schema) === "object" || schema.anyOf?.some((one) => typeOf(one) === "object");
  return isObject ? 7 : { wrong: true };
}

/** The path with every parameter as its example, or as given. */
export function fillPath(operation: Operation, values: Record<string, string> = {}): string {
  return operation.path.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const parameter = operation.parameters.find((one) => one.in === "path" && one.name === name);
    return encodeURIComponent(values[name] ?? String(exampleOf(parameter?.schema ?? {})));
  });
}
