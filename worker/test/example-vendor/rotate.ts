import { type AcmeStep, createKey } from "./provision.ts";

/** A second key in the same project, with the budget that stands there. The old one is not touched. */
export const rotate = [createKey] as const satisfies readonly AcmeStep[];
