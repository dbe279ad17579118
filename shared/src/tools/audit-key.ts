import { parseArgs } from "node:util";
import { rotateSigningKey } from "../audit/rotate-signing-key.ts";
import { publicJwk } from "../audit/signing-keys.ts";
import { loadConfigOrExit } from "../config.ts";
import { createKeyring } from "../crypto/envelope.ts";
import { auditSealRows } from "../db/audit-seals.ts";
import { openDatabase } from "../db/client.ts";

const help = `Usage: npm run audit-key -- show [--all]
       npm run audit-key -- rotate [--without-old-key]

The key that signs the audit log's checkpoints. The worker makes the first one; its private half lies in the database,
sealed under ENCRYPTION_KEY. Reads the same environment as api and worker.

  show      prints the current public key as JWK; give it to whoever shall check exports (docs/audit.md)
    --all   prints all keys that ever signed, as JWK Set
  rotate    makes a new key, announced in the log by the old one, whose private half is destroyed
    --without-old-key   when the old one cannot be decrypted any more; everybody who checks will see the break
  --help    show this text
`;

const { values, positionals } = parseArgs({
  options: {
    all: { type: "boolean", default: false },
    "without-old-key": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
  allowPositionals: true,
});
const [command] = positionals;
if (values.help || positionals.length !== 1 || (command !== "show" && command !== "rotate")) {
  (values.help ? console.log : console.error)(help);
  process.exit(values.help ? 0 : 2);
}

const config = loadConfigOrExit();
const db = openDatabase({ url: config.databaseUrl, poolMax: 1, applicationName: "keygate-audit-key" });
try {
  if (command === "rotate") {
    const made = await rotateSigningKey(db, createKeyring(config.encryptionKeys), {
      withoutOldKey: values["without-old-key"],
    });
    const head = made.at(-1);
    console.log(`The audit log is signed by the key ${head?.key_id} from checkpoint ${head?.number} on.`);
    console.log(`Head: ${head?.hash}`);
    console.log("Hand the new public key to whoever checks exports: npm run audit-key -- show");
  } else {
    const keys = await auditSealRows(db).keys();
    const current = keys.find((key) => key.retired_at === null);
    if (!current) throw new Error("There is no key yet: a worker makes it when it seals the first rows.");
    console.log(JSON.stringify(values.all ? { keys: keys.map(publicJwk) } : publicJwk(current)));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await db.destroy();
}
