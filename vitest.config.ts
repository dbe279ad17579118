import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{shared,migrations,simulator,worker,api,embedded}/{src,test}/**/*.test.ts", "web/test/**/*.test.ts"],
    // Installs the images' dependencies four times over; `npm run test:images` runs it by itself.
    // biome-ignore lint/suspicious/noUndeclaredEnvVars: no task of turbo reads it
    exclude: process.env.IMAGES ? [] : ["**/node_modules/**", "embedded/test/images.test.ts"],
    reporters: ["default", "./embedded/test-support/figures-reporter.ts"],
    globalSetup: ["embedded/test-support/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
