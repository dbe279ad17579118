import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{shared,migrations,simulator,worker,api,embedded}/{src,test}/**/*.test.ts", "web/test/**/*.test.ts"],
    // Green but long; `npm run test:all` runs them too.
    // biome-ignore lint/suspicious/noUndeclaredEnvVars: no task of turbo reads it
    exclude: process.env.ALL
      ? ["**/node_modules/**"]
      : [
          "**/node_modules/**",
          "embedded/test/images.test.ts",
          "embedded/test/redis-failover.test.ts",
          "embedded/test/server-mode-secured.test.ts",
          "embedded/test/server-mode-secured-faults.test.ts",
          "worker/test/reconcile-crowd.test.ts",
        ],
    reporters: ["default", "./embedded/test-support/figures-reporter.ts"],
    globalSetup: ["embedded/test-support/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
