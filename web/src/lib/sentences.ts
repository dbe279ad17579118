import type { AuditEvent } from "@keygate/shared/contracts/audit";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import { plural, words } from "./format.ts";

const vendorTitles = new Map<string, string>(Object.entries(vendorContracts).map(([id, { title }]) => [id, title]));

const text = (value: unknown): string | null => (typeof value === "string" && value ? value : null);
const vendorOf = ({ details, resource_type, resource_id }: AuditEvent): string => {
  const id = resource_type === "vendor" ? resource_id : text(details.vendor);
  return id ? (vendorTitles.get(id) ?? id) : "a vendor";
};

function actorOf(actor: string): string {
  if (actor === "token:claim") return "The holder of a link";
  if (actor.startsWith("system:")) return `KeyGate (${actor.slice("system:".length)})`;
  if (actor.startsWith("token:")) return `Service token ${actor.slice("token:".length)}`;
  return actor;
}

/** By action: how it reads when asked for, when done, and when it failed. */
const verbs: Record<string, [requested: string, succeeded: string, failed: string]> = {
  "key.provision": ["asked for a key at {vendor}", "made a key at {vendor}", "could not make a key at {vendor}"],
  "key.rotate": [
    "asked to rotate a key at {vendor}",
    "rotated a key at {vendor}",
    "could not rotate a key at {vendor}",
  ],
  "key.revoke": [
    "asked to revoke {what}",
    "revoked a key at {vendor}, confirmed there",
    "could not revoke a key at {vendor} yet",
  ],
  "key.expire": [
    "began to end a key at {vendor} whose time was over",
    "ended a key at {vendor} whose time was over",
    "could not end an expired key at {vendor} yet",
  ],
  "key.claim": ["asked for a waiting key", "took a key of {vendor}", "could not take a key of {vendor}"],
  "key.claim_disputed": [
    "reported a stolen key",
    "reported that somebody else took a key of {vendor}",
    "reported a stolen key",
  ],
  "key.input": [
    "gave a job the key it waited for",
    "gave a job the key it waited for",
    "gave a job a key that was not the right one",
  ],
  "key.remake": [
    "had a key made anew, since the sealed one was lost",
    "had a key made anew",
    "could not have a key made anew",
  ],
  "key.redirect": [
    "asked for a key again, in another page",
    "asked for a key again, in another page",
    "could not ask for a key again",
  ],
  "key.find_by_secret": [
    "looked for the owner of a pasted key",
    "looked for the owner of a pasted key",
    "looked for the owner of a pasted key",
  ],
  "vendor.configure": ["set up {vendor}", "set up {vendor}", "could not set up {vendor}"],
  "vendor.check": [
    "checked the credential of {vendor}",
    "checked the credential of {vendor}",
    "found the credential of {vendor} wanting",
  ],
  "vendor.remove": ["removed {vendor}", "removed {vendor}", "could not remove {vendor}"],
  "developer.create": ["registered {who}", "registered {who}", "could not register a developer"],
  "developer.update": ["changed a developer", "changed a developer", "could not change a developer"],
  "developer.deactivate": ["deactivated a developer", "deactivated a developer", "could not deactivate a developer"],
  "developer.set_role": ["set a developer's role", "set a developer's role", "could not set a developer's role"],
  "auth.login": ["signed in", "signed in", "could not sign in"],
  "auth.logout": ["signed out", "signed out", "could not sign out"],
  "auth.login_failed": ["failed to sign in", "failed to sign in", "failed to sign in"],
  "user.create": ["made the account {who}", "made the account {who}", "could not make an account"],
  "user.change_password": ["changed their password", "changed their password", "could not change their password"],
  "user.invite": ["invited {who}", "invited {who}", "could not invite somebody"],
  "user.join": ["followed an invitation", "followed an invitation", "could not follow an invitation"],
  "user.create_link": ["made a one-time link for {who}", "made a one-time link for {who}", "could not make a link"],
  "user.reset_password": ["set a new password by link", "set a new password by link", "could not set a password"],
  "user.set_role": ["set the role of {who}", "set the role of {who}", "could not set a role"],
  "user.remove": ["removed {who}", "removed {who}", "could not remove a user"],
  "token.create": ["made the service token {who}", "made the service token {who}", "could not make a service token"],
  "token.revoke": ["revoked the service token {who}", "revoked the service token {who}", "could not revoke a token"],
  "workspace.create": ["made the workspace {who}", "made the workspace {who}", "could not make a workspace"],
  "workspace.update": ["changed a workspace", "changed a workspace", "could not change a workspace"],
  "workspace.add_member": ["added a member to a workspace", "added a member to a workspace", "could not add a member"],
  "workspace.remove_member": [
    "removed a member from a workspace",
    "removed a member from a workspace",
    "could not remove a member",
  ],
  "workspace.archive": ["archived a workspace", "archived a workspace", "could not archive a workspace"],
  "key.adopt": ["asked to adopt a key of {vendor}", "adopted a key of {vendor}", "could not adopt a key of {vendor}"],
  "reconcile.run": ["asked for a look at {vendor}", "looked at {vendor}", "could not look at {vendor}"],
  "reconcile.finding": [
    "found something at {vendor} that does not add up",
    "found something at {vendor} that does not add up",
    "found something at {vendor} that does not add up",
  ],
  "reconcile.resolved": [
    "saw a finding at {vendor} settled",
    "saw a finding at {vendor} settled",
    "could not settle a finding at {vendor}",
  ],
  "reconcile.remove": [
    "asked to remove what nobody accounts for at {vendor}",
    "removed what nobody accounted for at {vendor}",
    "could not remove what nobody accounts for at {vendor}",
  ],
  "debt.retry": ["had a debt at {vendor} tried now", "had a debt at {vendor} tried now", "could not have a debt tried"],
  "debt.write_off": [
    "wrote off a debt at {vendor}",
    "wrote off a debt at {vendor}",
    "could not write off a debt at {vendor}",
  ],
  "audit.new_key": [
    "began to sign the audit log with a new key",
    "began to sign the audit log with a new key",
    "could not change the audit log's key",
  ],
  "job.retry": ["ran a job again", "ran a job again", "could not run a job again"],
  "job.cancel": ["cancelled a job", "cancelled a job", "could not cancel a job"],
};

/** An audit row as a sentence: who did what. */
export function sentenceOf(event: AuditEvent): string {
  const { action, details } = event;
  const outcome = details.outcome;
  const forms = verbs[action];
  if (!forms)
    return `${actorOf(event.actor)}: ${words(action).toLowerCase()}${outcome === "failed" ? ", which failed" : ""}`;
  const form = outcome === "requested" ? forms[0] : outcome === "failed" ? forms[2] : forms[1];
  const total =
    typeof details.keys_total === "number" ? plural(details.keys_total, "key") : `a key at ${vendorOf(event)}`;
  return `${actorOf(event.actor)} ${form
    .replace("{vendor}", vendorOf(event))
    .replace("{what}", total)
    .replace("{who}", text(details.name) ?? text(details.email) ?? "somebody")}`;
}
