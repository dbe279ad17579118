import { readdir } from "node:fs/promises";
import { runMigrations as migrateBullMq } from "bullmq";
import { Kysely, PostgresAdapter, PostgresDialect, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import pg from "pg";

const migrationFile = /^\d{8}T\d{4}_\w+\.ts$/;
// Any number: it is the name of a lock that only this function takes.
const migrationLock = 4_715_102_938;

/**
 * Kysely would hold its lock by the session and give it up on whatever connection it then has: behind a pooler that
 * changes connections between transactions that is another one. Ours lasts as long as the transaction that migrates.
 */
class LockedByTransaction extends PostgresAdapter {
  override async acquireMigrationLock(): Promise<void> {}
  override async releaseMigrationLock(): Promise<void> {}
}

class Dialect extends PostgresDialect {
  override createAdapter(): PostgresAdapter {
    return new LockedByTransaction();
  }
}

async function loadMigrations(): Promise<Record<string, Migration>> {
  const names = (await readdir(import.meta.dirname)).filter((name) => migrationFile.test(name)).sort();
  const entries = names.map(
    async (name) => [name.replace(/\.ts$/, ""), await import(/* @vite-ignore */ `./${name}`)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** The database has had migrations that this code does not know. */
export class DatabaseIsNewer extends Error {
  constructor(unknown: readonly string[]) {
    super(
      `The database was migrated by a newer KeyGate (${unknown.join(", ")}). Migrate with that version; going back means restoring the backup from before the upgrade.`,
    );
    this.name = "DatabaseIsNewer";
  }
}

/**
 * Brings the database to this version's schema: KeyGate's tables and the queue's (used when there is no Redis).
 * All or nothing, and safe to run twice and side by side: the second waits for the first and finds nothing to do.
 *
 * @param log is told the name of each migration that ran.
 * @param options.upTo stops after this migration; for tests of upgrades.
 * @throws DatabaseIsNewer, or what a migration threw; nothing of any of them is kept then.
 */
export async function migrateToLatest(
  databaseUrl: string,
  log: (line: string) => void = () => {},
  options: { upTo?: string } = {},
): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  const db = new Kysely<unknown>({ dialect: new Dialect({ pool }) });
  try {
    const migrations = await loadMigrations();
    const done = await db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(${sql.lit(migrationLock)})`.execute(tx);
      // Branches that were written side by side may land in any order; a database that has had the later one first is fine.
      const migrator = new Migrator({
        db: tx,
        provider: { getMigrations: async () => migrations },
        allowUnorderedMigrations: true,
      });
      const applied = (await tx.introspection.getTables({ withInternalKyselyTables: true })).some(
        ({ name }) => name === "kysely_migration",
      )
        ? (await sql<{ name: string }>`select name from kysely_migration order by name`.execute(tx)).rows
        : [];
      const unknown = applied.map(({ name }) => name).filter((name) => !(name in migrations));
      if (unknown.length > 0) throw new DatabaseIsNewer(unknown);
      const { error, results = [] } = options.upTo
        ? await migrator.migrateTo(options.upTo)
        : await migrator.migrateToLatest();
      if (error) throw error;
      return results.filter(({ status }) => status === "Success");
    });
    for (const { migrationName } of done) log(migrationName);
    const client = await pool.connect();
    try {
      // Holds a lock of its own.
      await migrateBullMq(client, "bullmq");
    } finally {
      client.release();
    }
  } finally {
    await db.destroy();
  }
}
