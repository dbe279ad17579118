import { useState } from "react";
import type { z } from "zod";
import { asProblem, type Problem } from "./problem.ts";

export type Errors = Record<string, string>;

export interface Form<V extends Record<string, unknown>> {
  values: V;
  set<K extends keyof V>(name: K, value: V[K]): void;
  errors: Errors;
  /** What is wrong with the whole and not with a field. */
  problem: Problem | null;
  isBusy: boolean;
  /** Checks, then runs; the form stays as it is when that fails. A second call while it runs does nothing. */
  submit(): Promise<void>;
}

/**
 * A form checked by the contract that the API checks with, before it is sent and again from what the API answers.
 *
 * @param toBody what is sent, made from the values.
 */
export function useForm<V extends Record<string, unknown>, S extends z.ZodType>(options: {
  initial: V;
  schema: S;
  toBody(values: V): unknown;
  run(body: z.output<S>, attempt: string): Promise<void>;
}): Form<V> {
  const [values, setValues] = useState(options.initial);
  const [errors, setErrors] = useState<Errors>({});
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  // The same intent keeps its Idempotency-Key: a repeated try makes nothing twice.
  const [attempt, setAttempt] = useState(() => crypto.randomUUID());

  const fail = (error: unknown) => {
    const found = asProblem(error);
    const fields = found.details.errors?.filter((entry) => entry.field) ?? [];
    setErrors(Object.fromEntries(fields.map((entry) => [entry.field, entry.message])));
    setProblem(fields.length > 0 ? null : found);
  };

  return {
    values,
    errors,
    problem,
    isBusy,
    set(name, value) {
      setValues((before) => ({ ...before, [name]: value }));
      setErrors(({ [String(name)]: _gone, ...rest }) => rest);
      setAttempt(crypto.randomUUID());
    },
    async submit() {
      if (isBusy) return;
      const parsed = options.schema.safeParse(options.toBody(values));
      if (!parsed.success) {
        setErrors(Object.fromEntries(parsed.error.issues.map((issue) => [issue.path.join("."), issue.message])));
        setProblem(null);
        return;
      }
      setBusy(true);
      setErrors({});
      setProblem(null);
      try {
        await options.run(parsed.data, attempt);
      } catch (error) {
        fail(error);
      } finally {
        setBusy(false);
      }
    },
  };
}
