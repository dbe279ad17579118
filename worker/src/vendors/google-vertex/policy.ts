import { KeyGateError } from "@keygate/shared/errors";
import { z } from "zod";

/** One grant of the project's policy. Whatever else it carries is kept as it is. */
export const Binding = z.looseObject({
  role: z.string(),
  members: z.array(z.string()).default([]),
  condition: z.looseObject({ expression: z.string().nullish() }).nullish(),
});
export type Binding = z.infer<typeof Binding>;

/** The project's policy as it was read: one document with everybody's grants. */
export const Policy = z.looseObject({
  version: z.number().nullish(),
  // Without it a write would silently drop what somebody else changed in between.
  etag: z.string().min(1),
  bindings: z.array(Binding).default([]),
});
export type Policy = z.infer<typeof Policy>;

/** What a service account of ours may do, and until when; null is without end. */
export interface Grant {
  email: string;
  role: string;
  until: string | null;
}

/** Every place of a policy counts, the same principal twice counts twice. */
export const principalsMax = 1_500;
export const principalsOf = (bindings: readonly Binding[]) =>
  bindings.reduce((sum, { members }) => sum + members.length, 0);

/** The condition of a grant that ends. */
export const expressionFor = (until: string) => `request.time < timestamp("${until}")`;

/** An account's own spelling, and the one that a policy shows after the account was deleted. */
const isSpellingOf = (email: string) => {
  const live = `serviceAccount:${email}`;
  const deleted = `deleted:serviceAccount:${email}?uid=`;
  return (member: string) => member === live || member.startsWith(deleted);
};

/**
 * Takes one account out of one role, in both spellings. Everybody else's grants stay as they are, in their order.
 *
 * @returns null when there is nothing to take out.
 */
export function withoutGrant(bindings: readonly Binding[], { email, role }: Omit<Grant, "until">): Binding[] | null {
  const isOurs = isSpellingOf(email);
  const isTouched = (binding: Binding) => binding.role === role && binding.members.some(isOurs);
  if (!bindings.some(isTouched)) return null;
  return bindings.flatMap((binding) => {
    if (!isTouched(binding)) return [binding];
    const members = binding.members.filter((member) => !isOurs(member));
    return members.length === 0 ? [] : [{ ...binding, members }];
  });
}

/**
 * Gives one account one role until a time. The same role under another condition is another grant to Google, so
 * whatever the account had of the role is replaced.
 *
 * @returns null when the policy says exactly that already.
 */
export function withGrant(bindings: readonly Binding[], grant: Grant): Binding[] | null {
  const { email, role, until } = grant;
  const isOurs = isSpellingOf(email);
  const member = `serviceAccount:${email}`;
  const expression = until === null ? undefined : expressionFor(until);
  const held = bindings.filter((binding) => binding.role === role && binding.members.some(isOurs));
  const [only, ...others] = held;
  const isRight =
    only !== undefined &&
    others.length === 0 &&
    only.members.every((each) => each === member || !isOurs(each)) &&
    (only.condition?.expression ?? undefined) === expression;
  if (isRight) return null;

  const kept = withoutGrant(bindings, grant) ?? [...bindings];
  if (principalsOf(kept) >= principalsMax) {
    throw new KeyGateError("vendor.refused", {
      detail: `The project's IAM policy is full: it names ${principalsMax} principals already. Use another project.`,
      nothingHappened: true,
    });
  }
  const title = `keygate-${email.split("@")[0]}`;
  const condition = expression && { condition: { title, description: "set by KeyGate", expression } };
  return [...kept, { role, members: [member], ...condition }];
}

/** Whether the policy names the account in this role. */
export const hasGrant = (bindings: readonly Binding[], grant: Omit<Grant, "until">): boolean =>
  withoutGrant(bindings, grant) !== null;
