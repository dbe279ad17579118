import type { Steps, World } from "./conformance-world.ts";

export type OperationName = "provision" | "rotate" | "revoke one of two" | "revoke the last";

/** What is done to a vendor: from how many standing keys, by which saga, and which of them work afterwards. */
export interface Operation {
  name: OperationName;
  keysBefore: number;
  steps(world: World): Steps;
  makesKey: boolean;
  /** Whether the first of the standing keys is what ends. */
  endsKey: boolean;
}

/** Everything that is done with keys at a vendor. */
export const operations: readonly Operation[] = [
  { name: "provision", keysBefore: 0, steps: ({ vendor }) => vendor.provision, makesKey: true, endsKey: false },
  { name: "rotate", keysBefore: 1, steps: ({ vendor }) => vendor.rotate, makesKey: true, endsKey: false },
  {
    name: "revoke one of two",
    keysBefore: 2,
    steps: ({ vendor }) => vendor.revoke(false),
    makesKey: false,
    endsKey: true,
  },
  {
    name: "revoke the last",
    keysBefore: 1,
    steps: ({ vendor }) => vendor.revoke(true),
    makesKey: false,
    endsKey: true,
  },
];
/** Those that can be undone. */
export const making = operations.filter(({ makesKey }) => makesKey);
