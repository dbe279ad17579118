import { type Kysely, sql } from "kysely";

/** The trace that a job belongs to, so that whoever works it goes on where the request ended. Holds ids and nothing else. */
export async function up(db: Kysely<any>): Promise<void> {
  await sql`alter table jobs add column traceparent text`.execute(db);
}

export async function down(db: Kysely<any>): Promise<void> {
  await sql`alter table jobs drop column traceparent`.execute(db);
}
