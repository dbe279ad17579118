import { execFile, execFileSync } from "node:child_process";
import { chmodSync, chownSync, lchownSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { commandAs, type RunAs, runAsSelf, setprivPath } from "./daemon.ts";

const run = promisify(execFile);
const userName = "postgres";

/**
 * Makes the data folder (mode 0700) and decides which user PostgreSQL runs as. It refuses to run as root, so root
 * steps down to the folder's owner, or to the `postgres` user, who is created if need be. Rejects naming the folder
 * that is in the way when that user can reach the data or the programs by no means.
 */
export async function prepareUser(dataDir: string, program: string): Promise<RunAs> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  if (process.getuid?.() !== 0) {
    assertOwn(dataDir);
    chmodSync(dataDir, 0o700);
    return runAsSelf;
  }
  const owner = statSync(dataDir);
  // Data that an ordinary user began keeps its owner, so that the same project runs with and without sudo.
  const user = owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : postgresUser();
  if (owner.uid === 0) handOver(dataDir, user);
  chmodSync(dataDir, 0o700);
  return reachable(user, dataDir, program);
}

function assertOwn(dataDir: string): void {
  const { uid } = statSync(dataDir);
  if (uid === process.getuid?.()) return;
  throw new Error(
    `${dataDir} belongs to another user (uid ${uid}), probably because KeyGate ran as root before. Run it as root again, or give the folder to yourself with chown -R.`,
  );
}

/** The least power that lets this user enter the data folder and run the programs, found by trying. */
async function reachable(user: { uid: number; gid: number }, dataDir: string, program: string): Promise<RunAs> {
  // Passing closed parent folders needs dac_read_search; running programs that only root may execute (an installation
  // under umask 077), or a container without that capability, needs dac_override. access(2) looks at the real user's
  // capabilities, which the kernel leaves aside unless no_setuid_fixup is set; initdb checks its programs with it.
  const grants = ["dac_read_search", "dac_override"].map((name) => [
    `--inh-caps=+${name}`,
    `--ambient-caps=+${name}`,
    "--securebits=+no_setuid_fixup",
  ]);
  for (const tried of setprivPath() ? [[], ...grants] : [[]]) {
    const as = { user, grants: tried };
    if (await canReach(as, dataDir, program)) return as;
  }
  const wall = [dirname(program), dataDir].map((path) => closedFolder(path, user)).find((path) => path !== null);
  throw new Error(
    `PostgreSQL cannot run as root, and the user it runs as instead (uid ${user.uid}) may not enter ${wall ?? dataDir}. ` +
      `Run KeyGate as an ordinary user, move the project to a folder that others may enter, or open this one: chmod o+x ${wall ?? dataDir}.` +
      (setprivPath() ? "" : " (With util-linux's setpriv installed this would not be necessary.)"),
  );
}

async function canReach(as: RunAs, dataDir: string, program: string): Promise<boolean> {
  const script = 'cd "$1" && ls > /dev/null && exec "$2" --version';
  const command = commandAs(as, "/bin/sh", ["-c", script, "sh", dataDir, program], null);
  try {
    await run(command.file, command.args, command.options);
    return true;
  } catch {
    return false;
  }
}

/** The outermost folder on the way to `path` that this user may not enter. */
function closedFolder(path: string, user: { uid: number; gid: number }): string | null {
  const parents: string[] = [];
  for (let folder = path; ; folder = dirname(folder)) {
    parents.unshift(folder);
    if (folder === dirname(folder)) break;
  }
  const closed = parents.find((folder) => {
    const { mode, uid, gid } = statSync(folder);
    return (mode & (uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001)) === 0;
  });
  return closed ?? null;
}

function postgresUser(): { uid: number; gid: number } {
  const found = lookUpUser();
  if (found) return found;
  try {
    execFileSync("groupadd", ["--system", "--force", userName], { stdio: "pipe" });
    execFileSync(
      "useradd",
      ["--system", "--gid", userName, "--no-create-home", "--shell", "/usr/sbin/nologin", userName],
      { stdio: "pipe" },
    );
  } catch (cause) {
    throw new Error(
      `PostgreSQL cannot run as root, and the user "${userName}" could not be created. Create it, or run KeyGate as an ordinary user.`,
      { cause },
    );
  }
  const made = lookUpUser();
  if (!made) throw new Error(`The user "${userName}" was created but cannot be found.`);
  return made;
}

function lookUpUser(): { uid: number; gid: number } | null {
  const id = (flag: string) =>
    Number(execFileSync("id", [flag, userName], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  try {
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    return null;
  }
}

function handOver(folder: string, user: { uid: number; gid: number }): void {
  chownSync(folder, user.uid, user.gid);
  // Content owned by root is a copy that root made (cp -r); symbolic links themselves, not what they point at.
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    lchownSync(join(folder, entry), user.uid, user.gid);
  }
}
