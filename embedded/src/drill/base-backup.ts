import { chown, copyFile, lstat, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withClient } from "../postgres-ready.ts";

// What the server makes anew when it starts from a backup (PostgreSQL's documentation, "Making a Base Backup Using the
// Low Level API"): the folders must be there, what is in them must not.
const emptied = ["pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"];
const leftOut = ["postmaster.pid", "postmaster.opts"];
const wal = "pg_wal";

const isGone = (error: unknown) => (error as { code?: unknown } | null)?.code === "ENOENT";

/** Copies with owner and mode. What the running server removes meanwhile is not missed: the log has it. */
async function copyTree(from: string, to: string, skip: (path: string) => boolean, path = ""): Promise<number> {
  const source = join(from, path);
  const stat = await lstat(source);
  await mkdir(join(to, path), { recursive: true, mode: stat.mode & 0o777 });
  await chown(join(to, path), stat.uid, stat.gid);
  let bytes = 0;
  for (const entry of await readdir(source, { withFileTypes: true })) {
    const name = join(path, entry.name);
    if (skip(name)) continue;
    if (entry.isDirectory()) {
      bytes += await copyTree(from, to, skip, name);
      continue;
    }
    try {
      const file = await lstat(join(from, name));
      await copyFile(join(from, name), join(to, name));
      await chown(join(to, name), file.uid, file.gid);
      bytes += file.size;
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return bytes;
}

/** Puts a backup into a folder that does not exist yet. A server that starts on it first makes it whole. */
export async function restoreBaseBackup(backup: string, dataDir: string): Promise<void> {
  await copyTree(backup, dataDir, () => false);
}

/**
 * Backs up a PostgreSQL of this machine while it runs, as `pg_basebackup` does: the server is told, its files are copied,
 * and the log that was written meanwhile makes them whole when a server starts on the copy. Needs none of PostgreSQL's
 * client programs, which do not come with KeyGate.
 *
 * @param target a folder that does not exist yet; a server can be started on it.
 * @returns bytes copied.
 * @throws when the server refuses or a file cannot be read; the copy is then of no use.
 */
export async function takeBaseBackup(url: string, dataDir: string, target: string): Promise<number> {
  return await withClient(url, async (client) => {
    await client.query("select pg_backup_start('keygate', fast => true)");
    const skip = (path: string) => {
      const [first = "", ...rest] = path.split("/");
      return (rest.length > 0 && (emptied.includes(first) || first === wal)) || leftOut.includes(path);
    };
    let bytes = await copyTree(dataDir, target, skip);
    // Both must come from the session that began the backup, and the label may not be written into the running folder.
    const { rows } = await client.query("select labelfile from pg_backup_stop(wait_for_archive => false)");
    await writeFile(join(target, "backup_label"), String(rows[0].labelfile), { mode: 0o600 });
    const { uid, gid } = await lstat(join(target, "PG_VERSION"));
    await chown(join(target, "backup_label"), uid, gid);
    bytes += await copyTree(join(dataDir, wal), join(target, wal), () => false);
    return bytes;
  });
}
