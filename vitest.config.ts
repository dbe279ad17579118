import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{shared,migrations,simulator,worker,api,embedded}/{src,test}/**/*.test.ts", "web/test/**/*.test.ts"],
    reporters: ["default", "./embedded/test-support/figures-reporter.ts"],
    globalSetup: ["embedded/test-support/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
