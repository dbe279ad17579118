import { readdir } from "node:fs/promises";
import { runMigrations as migrateBullMq } from "bullmq";
import { Kysely, PostgresDialect } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import pg from "pg";

const migrationFile = /^\d{8}T\d{4}_\w+\.ts$/;

async function loadMigrations(): Promise<Record<string, Migration>> {
  const names = (await readdir(import.meta.dirname)).filter((name) => migrationFile.test(name)).sort();
  const entries = names.map(
    async (name) => [name.replace(/\.ts$/, ""), await import(/* @vite-ignore */ `./${name}`)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * Brings the database to this version's schema: KeyGate's tables and the queue's (used when there is no Redis).
 * Safe to run twice and side by side: both parts hold a lock while they work.
 *
 * @param log is told the name of each migration that ran.
 * @throws when a migration fails (its transaction is rolled back) or when the database is newer than this code.
 */
export async function migrateToLatest(databaseUrl: string, log: (line: string) => void = () => {}): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: loadMigrations } });
    const { error, results } = await migrator.migrateToLatest();
    for (const result of results ?? []) if (result.status === "Success") log(result.migrationName);
    if (error) throw error;
    const client = await pool.connect();
    try {
      await migrateBullMq(client, "bullmq");
    } finally {
      client.release();
    }
  } finally {
    await db.destroy();
  }
}
