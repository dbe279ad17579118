import { v7 } from "uuid";
import type { IdByPrefix } from "./contracts/ids.ts";

/** Makes a new id: the prefix and a UUIDv7, so that ids sort by creation and indexes stay compact. */
export function newId<P extends keyof IdByPrefix>(prefix: P): IdByPrefix[P] {
  // The brand is earned here: this is the only place that makes ids.
  return `${prefix}-${v7()}` as IdByPrefix[P];
}
