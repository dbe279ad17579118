/** What the run's set-up hands to the tests. A file of its own, so that whoever injects it knows its types. */
declare module "vitest" {
  interface ProvidedContext {
    /** Leads to the maintenance database of the run's PostgreSQL; tests take a database of their own from `createTestDatabase`. */
    postgresUrl: string;
    /** Null on a machine that has no Redis and may not install one; `createTestRedis` then says so. */
    redisUrl: string | null;
  }
}

export {};
