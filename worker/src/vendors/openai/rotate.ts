import { KeyGateError, must } from "@keygate/shared/errors";
import { expiresInSeconds, type OpenAiState, type OpenAiStep, unlessArchived, verifyKey } from "./provision.ts";

/** A person's own key, which can only have been adopted: OpenAI makes keys for service accounts alone. */
function requireAccountId({ serviceAccountId }: OpenAiState): string {
  if (serviceAccountId) return serviceAccountId;
  throw new KeyGateError("vendor.refused", {
    detail:
      "The key belongs to a person, and OpenAI makes no keys for people by API. Ask for a new key, then revoke this one.",
    nothingHappened: true,
  });
}

/** A second key on the same account: project, spend and limits stay. */
const createSecondKey: OpenAiStep = {
  name: "create-second-key",
  onFound: "replace",
  delivers: true,
  async run(ctx, state) {
    const projectId = must(state.projectId, "projectId");
    const accountId = requireAccountId(state);
    const made = await ctx.client.createApiKey(projectId, accountId, keyNameFor(ctx.key), expiresInSeconds(ctx));
    const issued = await ctx.deliver(made.secret);
    return { keyId: made.id, issued };
  },
  async find({ client, key }, state) {
    const projectId = must(state.projectId, "projectId");
    const keys = await unlessArchived(client, projectId, () => client.listApiKeys(projectId));
    const ours = keys?.find((candidate) => candidate.name === keyNameFor(key));
    return ours ? { keyId: ours.id } : null;
  },
  async undo({ client }, state) {
    const projectId = must(state.projectId, "projectId");
    await unlessArchived(client, projectId, () => client.deleteApiKey(projectId, must(state.keyId, "keyId")));
  },
};

/** The reserved name and the end of the key's id: unique among the keys of the account. */
const keyNameFor = (key: { projectName: string; id: string }) => `${key.projectName}-${key.id.slice(-8)}`;

export const rotate = [createSecondKey, verifyKey] as const satisfies readonly OpenAiStep[];
