/** Who may import whom. Each rule's comment says why it exists. */
const ours = "^(shared|api|worker|web|migrations|simulator|embedded)/";
module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", comment: "A cycle means that two files are one idea.", from: {}, to: { circular: true } },
    {
      name: "contracts-are-browser-safe", severity: "error",
      comment: "The dashboard imports the contracts: zod and themselves only, nothing of Node.",
      from: { path: "^shared/src/contracts/", pathNot: "\\.test\\.ts$" },
      to: { pathNot: "^(shared/src/contracts/|node_modules/zod/)" },
    },
    {
      name: "shared-stands-alone", severity: "error",
      comment: "What api and worker both need cannot know either of them.",
      from: { path: "^shared/src/", pathNot: "\\.test\\.ts$" }, to: { path: "^(api|worker|web|simulator|embedded|migrations)/" },
    },
    {
      name: "api-and-worker-are-strangers", severity: "error",
      comment: "They meet in the database and the queue only, so that either can be deployed alone.",
      from: { path: "^api/src/", pathNot: "\\.test\\.ts$" }, to: { path: "^(worker|web|simulator|embedded)/" },
    },
    {
      name: "worker-and-api-are-strangers", severity: "error",
      comment: "See api-and-worker-are-strangers.",
      from: { path: "^worker/src/", pathNot: "\\.test\\.ts$" }, to: { path: "^(api|web|simulator|embedded)/" },
    },
    {
      name: "web-speaks-the-public-api", severity: "error",
      comment: "The dashboard has no private door: it knows the contracts and nothing else of ours.",
      from: { path: "^web/src/", pathNot: "\\.test\\.tsx?$" }, to: { path: ours, pathNot: "^(web/|shared/src/contracts/)" },
    },
    {
      name: "migrations-are-frozen", severity: "error",
      comment: "A migration that imports today's code changes its meaning tomorrow.",
      from: { path: "^migrations/src/\\d" }, to: { pathNot: "^node_modules/kysely/" },
    },
    {
      name: "simulator-imports-none-of-ours", severity: "error",
      comment: "A misreading of a vendor's page must not be made twice the same way.",
      from: { path: "^simulator/" }, to: { path: "^(shared|api|worker|web|migrations|embedded)/" },
    },
    {
      name: "saga-knows-no-vendor", severity: "error",
      comment: "The runner does not know whom it runs.",
      from: { path: "^worker/src/saga/", pathNot: "\\.test\\.ts$" }, to: { path: "^worker/src/vendors/" },
    },
    {
      name: "vendors-are-islands", severity: "error",
      comment: "Only the registry knows them all; taking one out must not touch another.",
      from: { path: "^worker/src/vendors/([^/]+)/" },
      to: { path: "^worker/src/vendors/[^/]+/", pathNot: "^worker/src/vendors/$1/" },
    },
    {
      name: "features-are-islands", severity: "error",
      comment: "Routes compose features; features do not know one another.",
      from: { path: "^web/src/features/([^/]+)/" },
      to: { path: "^web/src/features/[^/]+/", pathNot: "^web/src/features/$1/" },
    },
    {
      name: "sql-lives-in-one-place", severity: "error",
      comment: "Every query is a named function in shared/src/db, where its index and its guard are reviewed.",
      from: { path: "^(api|worker)/src/", pathNot: "\\.test\\.ts$" }, to: { path: "^node_modules/(kysely|pg)/" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(dist|\\.keygate)/" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"], extensions: [".ts", ".tsx", ".js", ".mjs", ".cjs", ".json"] },
  },
};
