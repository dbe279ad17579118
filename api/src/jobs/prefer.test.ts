import { expect, test } from "vitest";
import { readPrefer } from "./prefer.ts";

test.each([
  [undefined, 25, null],
  ["", 25, null],
  ["wait=10", 10, "wait=10"],
  ["  WAIT = 10 ", 10, "wait=10"],
  ['wait="7"', 7, "wait=7"],
  ["wait=0", 0, "wait=0"],
  ["wait=61", 60, "wait=60"],
  ["respond-async", 0, "respond-async"],
  ["Respond-Async; foo=bar", 0, "respond-async"],
  ["respond-async, wait=5", 5, "respond-async, wait=5"],
  ["return=minimal, wait=5; x=1 , handling=lenient", 5, "wait=5"],
  ["wait=5, wait=50", 5, "wait=5"],
  ["wait=soon", 25, null],
  ["wait=-1, ,=,;", 25, null],
  ["wait=99999999999999999999", 25, null],
])("reads Prefer: %s as %d seconds", (header, waitSeconds, applied) => {
  expect(readPrefer(header)).toEqual({ waitSeconds, applied });
});
