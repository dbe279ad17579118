/** An audit row as the database prints it: `details` is JSON text, times have microseconds. */
export interface AuditLineRow {
  seq: number;
  id: string;
  action: string;
  actor: string;
  resource_type: string;
  resource_id: string;
  details: string;
  ip_address: string | null;
  created_at: string;
}

/** A number that keeps the digits it was written with. */
class ExactNumber {
  readonly digits: string;
  constructor(digits: string) {
    this.digits = digits;
  }
}

// Numbers that a double may hold or print in another way: many digits, zeros at the end, or very small ones.
const mayBeInexact = /[\d.]{16}|\.\d*0(?!\d)|0\.00000/;

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown;
const keepDigits: Reviver = (_key, value, { source }) =>
  typeof value === "number" && source !== undefined && String(value) !== source ? new ExactNumber(source) : value;

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value instanceof ExactNumber) return value.digits;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`;
}

/**
 * JSON text in its canonical form (RFC 8785): sorted members, no spaces. One thing is stricter: a number that a double
 * cannot hold keeps its digits, so that nobody can change those without being found.
 */
export function canonicalJson(text: string): string {
  // The reviver's third argument is newer than its type.
  return canonical(mayBeInexact.test(text) ? JSON.parse(text, keepDigits as never) : JSON.parse(text));
}

/** The one spelling of an audit row: what is hashed, and what an export shows. Its members are sorted. */
export function auditLine(row: AuditLineRow): string {
  const text = JSON.stringify;
  return `{"action":${text(row.action)},"actor":${text(row.actor)},"created_at":${text(row.created_at)},"details":${canonicalJson(row.details)},"id":${text(row.id)},"ip_address":${text(row.ip_address)},"resource_id":${text(row.resource_id)},"resource_type":${text(row.resource_type)},"seq":${row.seq}}`;
}
