import root from "../../package.json" with { type: "json" };

/** KeyGate's version, as the root package.json has it. */
export const version: string = root.version;
