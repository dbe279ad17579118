import { parseArgs } from "node:util";
import { loadConfigOrExit } from "../config.ts";
import { createKeyring } from "../crypto/envelope.ts";
import { openDatabase } from "../db/client.ts";
import { keyRows } from "../db/keys.ts";
import { must } from "../errors.ts";
import { rewrapAll } from "../sealed-values.ts";

const help = `Usage: npm run rewrap

Seals everything in the database anew under the first entry of ENCRYPTION_KEY: vendor credentials, the inputs of waiting
jobs, the audit log's signing keys. Reads the same environment as api and worker, and may run while they work, once all
of them have the new entry in their list. Running it again does no harm. docs/audit.md has the order of steps.

Exit: 0 everything is under the first entry, 1 something is not (it says what), 2 the configuration is not usable.
`;

const { values } = parseArgs({ options: { help: { type: "boolean", short: "h", default: false } } });
if (values.help) {
  console.log(help);
  process.exit(0);
}

const config = loadConfigOrExit();
const keyring = createKeyring(config.encryptionKeys);
const db = openDatabase({ url: config.databaseUrl, poolMax: 2, applicationName: "keygate-rewrap" });
try {
  const { counts, unreadable } = await rewrapAll(db, keyring);
  let changed = 0;
  for (const [kind, count] of Object.entries(counts)) {
    changed += count.changed;
    console.log(`${kind}s: ${count.rewrapped} re-wrapped, ${count.current} were under the first entry already`);
  }
  for (const name of unreadable) console.error(`Not opened by any entry of ENCRYPTION_KEY: ${name}`);
  if (changed > 0) console.error(`${changed} changed meanwhile: run this again.`);
  const { id } = must(keyring.fingerprintKeys()[0], "the first key of the ring");
  const older = await keyRows(db).countFingerprintedElsewhere(id);
  if (older > 0) {
    console.log(
      `${older} live keys have fingerprints of an older entry. Once that is removed, a leaked copy of one of them can be\n` +
        "matched by its first and last characters only. Rotate them, or keep the entry until they are gone.",
    );
  }
  process.exitCode = unreadable.length + changed === 0 ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await db.destroy();
}
