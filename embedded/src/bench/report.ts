/** A figure that was promised, beside what was measured. */
export interface Target {
  what: string;
  wanted: string;
  measured: string;
  met: boolean;
}

/** What one part of the bench found out. */
export interface Section {
  title: string;
  /** How it was measured, a paragraph each. */
  method: readonly string[];
  columns: readonly string[];
  rows: readonly (readonly string[])[];
  targets: readonly Target[];
}

export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  system: string;
  node: string;
  postgres: string;
  redis: string;
  keygate: string;
  date: string;
  minutes: number;
  quick: boolean;
}

const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
const table = (columns: readonly string[], rows: readonly (readonly string[])[]) =>
  [row(columns), row(columns.map(() => "---")), ...rows.map(row)].join("\n");

const targetRows = (targets: readonly Target[]) =>
  targets.map(({ what, wanted, measured, met }) => [what, wanted, measured, met ? "yes" : "**no**"]);

const sectionText = ({ title, method, columns, rows }: Section) =>
  [`## ${title}`, ...method, table(columns, rows)].join("\n\n");

/** The page: what ran where, each target with what was measured, then every figure beside its limit. */
export function benchmarksPage(machine: Machine, sections: readonly Section[]): string {
  const targets = sections.flatMap((section) => section.targets);
  return `${[
    "# Benchmarks",
    "Written by `npm run bench`; do not edit. Each figure stands beside its limit, measured in the same run on the same " +
      "machine: the ratio says more about KeyGate than the number, which says as much about the machine.",
    ...(machine.quick ? ["**A quick run with small sizes: good for finding slips, not for quoting.**"] : []),
    table(
      ["", ""],
      [
        ["Machine", `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}`],
        ["Versions", `Node ${machine.node}, PostgreSQL ${machine.postgres}, Redis ${machine.redis}`],
        ["KeyGate", `${machine.keygate}, default configuration, one api and one worker process`],
        ["Run", `${machine.date}, ${machine.minutes} minutes`],
      ],
    ),
    "Everything shares these cores: api, worker, PostgreSQL (every commit is written to disk before it is answered), Redis, " +
      "the simulated vendor and the program that measures. Figures with a range in brackets are the median, the lowest and " +
      "the highest of several rounds; rounds of KeyGate and of its limit take turns. Percentiles are of all operations of all rounds.",
    "## Targets",
    table(["Figure", "Wanted", "Measured", "Met"], targetRows(targets)),
    ...sections.map(sectionText),
  ].join("\n\n")}\n`;
}

/** The same for a terminal, as far as one looks at it while developing. */
export function sectionForTerminal(section: Section): string {
  return [
    sectionText({ ...section, method: [] }),
    table(["Target", "Wanted", "Measured", "Met"], targetRows(section.targets)),
  ]
    .filter((_, index) => index === 0 || section.targets.length > 0)
    .join("\n\n");
}
