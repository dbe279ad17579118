import { parseArgs } from "node:util";
import { loadConfigOrExit } from "@keygate/shared/config";
import { systemActor } from "@keygate/shared/db/audit";
import { openDatabase } from "@keygate/shared/db/client";
import { userRows } from "@keygate/shared/db/users";
import { createUserLink, welcomeLink } from "../users/invite-user.ts";

const help = `Usage: npm run user-link -- <e-mail> [--hours 4]

Prints a one-time link by which a user of KeyGate sets a new password: for the owner whom no other owner can help.
Needs the environment of the API, and with it access to the database. It is written to the audit log.
Without PUBLIC_URL the path alone is printed: put the dashboard's address in front.

  --hours   how long the link works, 1 to 168 (4)
  --help    show this text

Exit: 0 the link is on standard output, 1 there is no such user, 2 the arguments or the configuration are not usable.
`;

const { values, positionals } = parseArgs({
  options: { hours: { type: "string", default: "4" }, help: { type: "boolean", short: "h", default: false } },
  allowPositionals: true,
});
const [email] = positionals;
const hours = Number(values.hours);
if (
  values.help ||
  email === undefined ||
  positionals.length > 1 ||
  !Number.isInteger(hours) ||
  hours < 1 ||
  hours > 168
) {
  (values.help ? console.log : console.error)(help);
  process.exit(values.help ? 0 : 2);
}

const config = loadConfigOrExit();
const db = openDatabase({ url: config.databaseUrl, poolMax: 1, applicationName: "keygate-user-link" });
try {
  const user = await userRows(db).findByEmail(email);
  if (!user) throw new Error(`No user has the e-mail ${email}.`);
  const { token } = await createUserLink({ db }, systemActor("user-link"), { userId: user.id, hours });
  console.log(welcomeLink(config.http.publicUrl, token));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await db.destroy();
}
