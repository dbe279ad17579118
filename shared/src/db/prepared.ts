import { createHash } from "node:crypto";
import { sql } from "kysely";
import type pg from "pg";

const marker = "/* prepared */";

/**
 * Put into a statement, it is parsed and planned once per connection instead of each time: for those that every key
 * passes through, whose planning costs several times their work. Not for lists, whose best plan depends on the values.
 */
export const prepared = sql.raw(marker);

const names = new Map<string, string>();

function nameOf(text: string): string {
  const known = names.get(text);
  if (known) return known;
  const name = `keygate_${createHash("sha256").update(text).digest("hex").slice(0, 24)}`;
  names.set(text, name);
  return name;
}

/**
 * For a pool's `onConnect`. A pooler in transaction mode gives each transaction another session, in which nothing was
 * prepared; it shows in that the session is not the one that the connection was told of. Then all is sent as it is.
 */
export async function allowPrepared(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  // Not in the driver's types; Kysely relies on it as well.
  const { processID } = client as pg.ClientBase & { processID?: number | null };
  if (rows[0]?.pid !== processID) return;
  const send = client.query.bind(client) as (...args: unknown[]) => unknown;
  const query = (...args: unknown[]) => {
    const [text, values] = args;
    const isMarked = args.length === 2 && typeof text === "string" && text.includes(marker);
    return isMarked ? send({ name: nameOf(text), text, values }) : send(...args);
  };
  // Every way to call it but the marked one goes on as it was.
  client.query = query as typeof client.query;
}
