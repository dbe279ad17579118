import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const Secrets = z.object({
  secret_key: z.string().min(32),
  encryption_key: z.string().min(32),
  postgres_password: z.string().min(16),
  admin_email: z.email(),
  admin_password: z.string().min(12),
});
export type EmbeddedSecrets = z.infer<typeof Secrets>;

const random = (bytes: number) => randomBytes(bytes).toString("base64url");

/**
 * Reads the secrets of an embedded installation, making them on the first start. They lie in `secrets.json`, readable by
 * its owner only.
 *
 * @throws when the file is there but cannot be used: making new secrets would lock the data behind them away.
 */
export async function loadOrMakeSecrets(home: string): Promise<EmbeddedSecrets> {
  await mkdir(home, { recursive: true, mode: 0o711 });
  const file = join(home, "secrets.json");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return makeSecrets(file);
  }
  try {
    return Secrets.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(
      `${file} cannot be used. Put it back from a backup, or move the whole folder ${home} aside to start anew.`,
      { cause },
    );
  }
}

async function makeSecrets(file: string): Promise<EmbeddedSecrets> {
  const secrets: EmbeddedSecrets = {
    secret_key: random(48),
    encryption_key: random(48),
    postgres_password: random(24),
    admin_email: "admin@keygate.local",
    admin_password: random(18),
  };
  // Written aside and renamed: a start that is killed half-way leaves no half file.
  const draft = `${file}.${process.pid}.new`;
  const handle = await open(draft, "w", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(secrets, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
  return secrets;
}
