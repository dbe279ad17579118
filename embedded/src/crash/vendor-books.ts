import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import type { RunningVendor } from "@keygate/simulator/core";
import type { VendorName } from "@keygate/simulator/start";
import { z } from "zod";

/** A credential that works at the vendor now. */
export interface LiveCredential {
  /** What a key's row leads to, see `credentialOf`. */
  id: string;
  digest: string;
  /** Nobody was ever given it, and the vendor cannot be without it: the second key of an Azure account. */
  mayBeNobodys: boolean;
}

/** What a vendor's own books say of what KeyGate made there. */
export interface BooksReader {
  live(): LiveCredential[];
  /** Everything that stands and that KeyGate made: projects, workspaces, accounts, bindings, soft-deleted resources. */
  resources(): { id: string; what: string }[];
  /** The credential that a key's `vendor_ref` names; null where it names none yet. */
  credentialOf(ref: Record<string, unknown>): string | null;
  /** The resources that a key's `vendor_ref` accounts for. */
  resourcesOf(ref: Record<string, unknown>): string[];
  /** What the books call a secret. */
  digest(secret: string): string;
}

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const text = (value: unknown): string[] => (typeof value === "string" ? [value] : []);

const OpenAi = z.object({
  projects: z.array(
    z.object({ id: z.string(), name: z.string().nullable(), status: z.string(), default: z.boolean() }),
  ),
  accounts: z.array(z.object({ id: z.string(), project_id: z.string(), deleted_at: z.number().nullable() })),
  keys: z.array(z.object({ id: z.string(), live: z.boolean(), secret_sha256: z.string() })),
});

function openAi(server: RunningVendor): BooksReader {
  const books = () => OpenAi.parse(server.books());
  return {
    live: () =>
      books()
        .keys.filter(({ live }) => live)
        .map(({ id, secret_sha256 }) => ({ id, digest: secret_sha256, mayBeNobodys: false })),
    resources() {
      const { projects, accounts } = books();
      const standing = projects.filter(({ status, default: isDefault }) => status === "active" && !isDefault);
      const ids = new Set(standing.map(({ id }) => id));
      return [
        ...standing.map(({ id, name }) => ({ id, what: `project ${name}` })),
        ...accounts
          .filter(({ project_id, deleted_at }) => deleted_at === null && ids.has(project_id))
          .map(({ id }) => ({ id, what: `service account ${id}` })),
      ];
    },
    credentialOf: ({ keyId }) => text(keyId)[0] ?? null,
    resourcesOf: ({ projectId, serviceAccountId }) => [...text(projectId), ...text(serviceAccountId)],
    digest: sha256,
  };
}

const Anthropic = z.object({
  workspaces: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      archived_at: z.string().nullable(),
      tags: z.record(z.string(), z.string()),
    }),
  ),
  keys: z.array(z.object({ id: z.string(), live: z.boolean(), secret_sha256: z.string() })),
});

function anthropic(server: RunningVendor): BooksReader {
  const books = () => Anthropic.parse(server.books());
  return {
    live: () =>
      books()
        .keys.filter(({ live }) => live)
        .map(({ id, secret_sha256 }) => ({ id, digest: secret_sha256, mayBeNobodys: false })),
    resources: () =>
      books()
        .workspaces.filter(({ archived_at, tags }) => archived_at === null && tags.keygate !== undefined)
        .map(({ id, name }) => ({ id, what: `workspace ${name}` })),
    credentialOf: ({ keyId }) => text(keyId)[0] ?? null,
    resourcesOf: ({ workspaceId }) => text(workspaceId),
    digest: sha256,
  };
}

const Google = z.object({
  accounts: z.array(
    z.object({
      email: z.string(),
      is_admin: z.boolean(),
      deleted_at: z.string().nullable(),
      keys: z.array(z.object({ id: z.string(), live: z.boolean(), public_key_sha256: z.string() })),
    }),
  ),
  policy: z.object({ bindings: z.array(z.object({ role: z.string(), members: z.array(z.string()) })) }),
});
const KeyFile = z.object({ private_key: z.string() });

function google(server: RunningVendor): BooksReader {
  const books = () => Google.parse(server.books());
  return {
    live: () =>
      books()
        .accounts.filter(({ is_admin }) => !is_admin)
        .flatMap(({ email, keys }) =>
          keys
            .filter(({ live }) => live)
            .map((key) => ({ id: `${email}/${key.id}`, digest: key.public_key_sha256, mayBeNobodys: false })),
        ),
    resources() {
      const { accounts, policy } = books();
      const ours = accounts.filter(({ is_admin, deleted_at }) => !is_admin && deleted_at === null);
      const admins = accounts.filter(({ is_admin }) => is_admin).map(({ email }) => email);
      return [
        ...ours.map(({ email }) => ({ id: email, what: `account ${email}` })),
        ...policy.bindings.flatMap(({ role, members }) =>
          members.flatMap((member) => {
            const email = /^(?:deleted:)?serviceAccount:(keygate-[^?]*)/.exec(member)?.[1];
            return email && !admins.includes(email) ? [{ id: email, what: `${role} for ${member}` }] : [];
          }),
        ),
      ];
    },
    credentialOf: ({ email, keyId }) => (email && keyId ? `${email}/${keyId}` : null),
    resourcesOf: ({ email }) => text(email),
    // The public half: the private one of an uploaded key never was at the vendor.
    digest(secret) {
      const { private_key } = KeyFile.parse(JSON.parse(secret));
      return sha256(createPublicKey(createPrivateKey(private_key)).export({ type: "spki", format: "der" }));
    },
  };
}

const Azure = z.object({
  accounts: z.array(z.object({ name: z.string() })),
  deleted_accounts: z.array(z.object({ name: z.string() })),
  keys: z.array(z.object({ account: z.string(), slot: z.string(), sha256: z.string(), live: z.boolean() })),
});
const AzureRef = z.object({ account: z.object({ name: z.string() }), slot: z.string().optional() });

function azure(server: RunningVendor): BooksReader {
  const books = () => Azure.parse(server.books());
  return {
    live: () =>
      books()
        .keys.filter(({ live }) => live)
        .map(({ account, slot, sha256: digest }) => ({
          id: `${account}/${slot}`.toLowerCase(),
          digest,
          mayBeNobodys: true,
        })),
    resources() {
      const { accounts, deleted_accounts } = books();
      return [
        ...accounts.map(({ name }) => ({ id: name.toLowerCase(), what: `account ${name}` })),
        ...deleted_accounts.map(({ name }) => ({ id: `deleted ${name}`, what: `soft-deleted account ${name}` })),
      ];
    },
    credentialOf(ref) {
      const { data } = AzureRef.safeParse(ref);
      return data?.slot ? `${data.account.name}/${data.slot}`.toLowerCase() : null;
    },
    resourcesOf: (ref) => text(AzureRef.safeParse(ref).data?.account.name.toLowerCase()),
    digest: sha256,
  };
}

/** How each vendor's books are read. */
export const booksOf = {
  openai: openAi,
  anthropic,
  google_vertex: google,
  azure_openai: azure,
} as const satisfies Record<VendorName, (server: RunningVendor) => BooksReader>;

/** The server of each vendor that its calls go to and whose books count. */
export const mainServer = {
  openai: "openai",
  anthropic: "anthropic",
  google_vertex: "google",
  azure_openai: "azure",
} as const satisfies Record<VendorName, string>;
