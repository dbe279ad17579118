import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { sql } from "kysely";
import type { Db } from "./client.ts";

// The migrations' files are the version: a list of them beside the folder would be forgotten. Both images hold them.
const folder = resolve(import.meta.dirname, "../../../migrations/src");
const migrationFile = /^(\d{8}T\d{4}_\w+)\.ts$/;

/** The names of the migrations that this code was written for, oldest first. */
export function knownMigrations(): string[] {
  return readdirSync(folder)
    .flatMap((name) => migrationFile.exec(name)?.[1] ?? [])
    .sort();
}

/** The database does not fit this code; the message says to an operator what to do. */
export class SchemaMismatch extends Error {
  readonly isNewer: boolean;
  constructor(isNewer: boolean, message: string) {
    super(message);
    this.name = "SchemaMismatch";
    this.isNewer = isNewer;
  }
}

const undefinedTable = "42P01";
const names = (list: readonly string[]) => `${list.slice(0, 3).join(", ")}${list.length > 3 ? ", …" : ""}`;

/**
 * Asks whether the database has the schema that this code was written for; both processes ask before they do anything.
 *
 * @throws SchemaMismatch when a newer KeyGate has migrated it further (this one would write rows that lack what that one
 * relies on), or when migrations are still to run; otherwise what the driver throws.
 */
export async function requireSchema(db: Db, known: readonly string[] = knownMigrations()): Promise<void> {
  const applied = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db).then(
    ({ rows }) => rows.map(({ name }) => name),
    (error: unknown): string[] => {
      if ((error as { code?: unknown } | null)?.code === undefinedTable) return [];
      throw error;
    },
  );
  const unknown = applied.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new SchemaMismatch(
      true,
      `The database was migrated by a newer KeyGate (${names(unknown)}). Start that version, or restore the backup from before the upgrade.`,
    );
  }
  const missing = known.filter((name) => !applied.includes(name));
  if (missing.length > 0) {
    const what = applied.length === 0 ? "has no KeyGate tables yet" : `lacks ${names(missing)}`;
    throw new SchemaMismatch(false, `The database ${what}. Run: npm run migrate`);
  }
}
