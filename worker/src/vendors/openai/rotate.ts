import { must } from "@keygate/shared/errors";
import { expiresInSeconds, type OpenAiStep, unlessArchived, verifyKey } from "./provision.ts";

/** A second key on the same account: project, spend and limits stay. */
const createSecondKey: OpenAiStep = {
  name: "create-second-key",
  onFound: "replace",
  delivers: true,
  async run(ctx, state) {
    const projectId = must(state.projectId, "projectId");
    const accountId = must(state.serviceAccountId, "serviceAccountId");
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
