import { z } from "zod";

/**
 * A prefix, a dash and, in all ids that KeyGate makes, a UUID of version 7: sortable by time of creation, and readable as
 * what it names. Callers are asked for the prefix only: an id that never existed is "not found", however it is spelled.
 */
const prefixedId = <P extends string>(prefix: P) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}-[0-9A-Za-z_-]{1,64}$`), {
      message: `Not an id that starts with ${prefix}-`,
    })
    .meta({ example: `${prefix}-0192f0a1-7c3e-7b6a-9d53-2f6c0a4e8b11` });

export const DeveloperId = prefixedId("dev").brand<"DeveloperId">();
export const KeyId = prefixedId("key").brand<"KeyId">();
export const JobId = prefixedId("job").brand<"JobId">();
export const WorkspaceId = prefixedId("ws").brand<"WorkspaceId">();
export const UserId = prefixedId("usr").brand<"UserId">();
export const AuditEventId = prefixedId("evt").brand<"AuditEventId">();
export const FindingId = prefixedId("fnd").brand<"FindingId">();
export const ServiceTokenId = prefixedId("tok").brand<"ServiceTokenId">();

export type DeveloperId = z.infer<typeof DeveloperId>;
export type KeyId = z.infer<typeof KeyId>;
export type JobId = z.infer<typeof JobId>;
export type WorkspaceId = z.infer<typeof WorkspaceId>;
export type UserId = z.infer<typeof UserId>;
export type AuditEventId = z.infer<typeof AuditEventId>;
export type FindingId = z.infer<typeof FindingId>;
export type ServiceTokenId = z.infer<typeof ServiceTokenId>;

export interface IdByPrefix {
  dev: DeveloperId;
  key: KeyId;
  job: JobId;
  ws: WorkspaceId;
  usr: UserId;
  evt: AuditEventId;
  fnd: FindingId;
  tok: ServiceTokenId;
}
