import type { KeyObject } from "node:crypto";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import { z } from "zod";
import type { AccountRef } from "./client.ts";

const IssuedFile = z.looseObject({
  type: z.literal("service_account"),
  private_key_id: z.string().min(1),
  private_key: z.string().min(1),
  client_email: z.string().min(1),
});

/** The file as Google writes it, for a key whose private half was made here. */
export function writeKeyFile(
  ref: AccountRef,
  key: { id: string; uniqueId: string; privateKey: KeyObject; tokenUrl: string },
): Secret {
  const file = {
    type: "service_account",
    project_id: ref.projectId,
    private_key_id: key.id,
    private_key: key.privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: ref.email,
    client_id: key.uniqueId,
    auth_uri: "https://accounts.google.com/o/oauth2/auth",
    token_uri: key.tokenUrl,
    auth_provider_x509_cert_url: "https://www.googleapis.com/oauth2/v1/certs",
    client_x509_cert_url: `https://www.googleapis.com/robot/v1/metadata/x509/${encodeURIComponent(ref.email)}`,
    universe_domain: "googleapis.com",
  };
  return new Secret(`${JSON.stringify(file, null, 2)}\n`);
}

/** Google's own file with our token address in it, so that a client that honours it exchanges tokens where we do. */
export function readdressKeyFile(file: Secret, tokenUrl: string): Secret {
  let json: unknown;
  try {
    json = JSON.parse(file.reveal());
  } catch {
    json = undefined;
  }
  const parsed = IssuedFile.safeParse(json);
  // The key exists; what its file looks like can't be told, so it is looked for and replaced.
  if (!parsed.success) throw new KeyGateError("vendor.unexpected", { detail: "Google's key file made no sense." });
  return new Secret(`${JSON.stringify({ ...parsed.data, token_uri: tokenUrl }, null, 2)}\n`);
}
