import { type ProblemCode, type ProblemKind, problems } from "./contracts/problems.ts";

export interface KeyGateErrorOptions {
  /** For the caller: what happened and what to do next. Never a secret. */
  detail?: string;
  cause?: unknown;
  /** Milliseconds to wait before trying again, where somebody said so. */
  retryAfterMs?: number;
  /** Sure that the vendor has not acted on the call, so nothing has to be looked for. */
  nothingHappened?: boolean;
  /** For the log only. */
  facts?: Record<string, unknown>;
  /** One entry per field, for validation problems. */
  errors?: { field: string; message: string }[];
}

/**
 * The one error class. Its code decides, through the table in `contracts/problems.ts`, what the worker does
 * (retry, wait, undo) and what the API answers.
 */
export class KeyGateError extends Error {
  readonly code: ProblemCode;
  readonly detail: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly nothingHappened: boolean;
  readonly facts: Record<string, unknown>;
  readonly errors: { field: string; message: string }[] | undefined;

  constructor(code: ProblemCode, options: KeyGateErrorOptions = {}) {
    super(options.detail ? `${code}: ${options.detail}` : code, { cause: options.cause });
    this.name = "KeyGateError";
    this.code = code;
    this.detail = options.detail;
    this.retryAfterMs = options.retryAfterMs;
    this.nothingHappened = options.nothingHappened ?? false;
    this.facts = options.facts ?? {};
    this.errors = options.errors;
  }

  get kind(): ProblemKind {
    return problems[this.code].kind;
  }

  get status(): number {
    return problems[this.code].status;
  }

  get title(): string {
    return problems[this.code].title;
  }
}

/** The kind of any thrown value. What nobody classified is retryable: trying again is safe here, giving up is not. */
export function kindOf(error: unknown): ProblemKind {
  return error instanceof KeyGateError ? error.kind : "retryable";
}

/** Returns the value, or throws a plain error that names what should have been there. For invariants, not for input. */
export function must<T>(value: T | null | undefined, name: string): T {
  if (value === null || value === undefined) throw new Error(`${name} is missing`);
  return value;
}
