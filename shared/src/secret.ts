import { inspect } from "node:util";

const masked = "[secret]";

/**
 * A value that must not be seen. It prints as `[secret]` through String, JSON, template literals and `util.inspect`;
 * the value lives in a private field, so spreading or walking the object does not find it either.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The readable value. Each call site is a place to review. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return masked;
  }

  toJSON(): string {
    return masked;
  }

  [Symbol.toPrimitive](): string {
    return masked;
  }

  [inspect.custom](): string {
    return masked;
  }
}
