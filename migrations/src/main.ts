import { DatabaseIsNewer, migrateToLatest } from "./migrate.ts";

// This process reads where the database is and nothing else of the configuration: it runs before anything else is set up.
// biome-ignore lint/style/noProcessEnv: see above
const databaseUrl = process.env.DATABASE_DIRECT_URL || process.env.DATABASE_URL;
if (!databaseUrl) {
  console.error("DATABASE_URL is not set. Example: DATABASE_URL=postgres://keygate:…@localhost:5432/keygate");
  process.exit(2);
}
try {
  await migrateToLatest(databaseUrl, (name) => console.log(`migrated ${name}`));
  console.log("The database is up to date.");
} catch (error) {
  if (error instanceof DatabaseIsNewer) console.error(error.message);
  else console.error("The migration failed; nothing of it was kept.", error);
  process.exit(1);
}
