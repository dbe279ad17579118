import { must } from "@keygate/shared/errors";
import { microsToCents } from "@keygate/shared/money";
import type { SagaContext, SagaState } from "../../src/saga/step.ts";
import { WaitForVendor } from "../../src/saga/wait.ts";
import type { VendorStep } from "../../src/vendors/vendor.ts";
import type { AcmeClient } from "./client.ts";

/** What the journal keeps of a job, and afterwards the key's row: Acme's names, never a secret. */
export interface AcmeState extends SagaState {
  project?: string;
  budgetCents?: number;
  keyId?: string;
}

export type AcmeStep = VendorStep<AcmeClient, AcmeState>;

const lookAgainMs = 1_000;

const createProject: AcmeStep = {
  name: "create-project",
  onFound: "adopt",
  async run({ client, key }) {
    return { project: (await client.createProject(key.projectName)).name };
  },
  async find({ client, key }) {
    const [ours, ...others] = (await client.listProjects()).filter(({ title }) => title === key.projectName);
    for (const other of others) await removeProject(client, other.name);
    return ours ? { project: ours.name } : null;
  },
  async undo({ client }, state) {
    await removeProject(client, must(state.project, "project"));
  },
};

/** Deletes the project with its keys, and looks. */
export async function removeProject(client: AcmeClient, project: string): Promise<void> {
  await client.deleteProject(project);
  if (await client.getProject(project)) throw new WaitForVendor(lookAgainMs, "Acme is deleting the project");
}

/** Setting it twice does no harm, and it goes with the project. */
const setBudget: AcmeStep = {
  name: "set-budget",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client, key }, state) {
    const cents = Math.max(1, microsToCents(key.budgetMicros));
    await client.setBudget(must(state.project, "project"), cents);
    return { budgetCents: cents };
  },
};

/** Every key of a project has a title of its own, so that one whose answer was lost can be told from its siblings. */
const titleFor = (key: SagaContext<AcmeClient>["key"]) => `${key.projectName}-${key.id.slice(-8)}`;

/** Acme shows a key once: one that was made without our hearing of it is removed and made anew. */
export const createKey: AcmeStep = {
  name: "create-key",
  onFound: "replace",
  delivers: true,
  async run({ client, key, deliver }, state) {
    const made = await client.createKey(must(state.project, "project"), titleFor(key), key.expiresAt);
    const issued = await deliver(made.secret);
    return { keyId: made.name, issued };
  },
  async find({ client, key }, state) {
    const titled = (await client.listKeys(must(state.project, "project"))) ?? [];
    for (const { name } of titled.filter(({ title }) => title === titleFor(key))) {
      // The list also lags behind deletions; a look at the key itself does not.
      if (await client.getKey(name)) return { keyId: name };
    }
    return null;
  },
  async undo({ client }, state) {
    await client.deleteKey(must(state.keyId, "keyId"));
  },
};

/** The budget first, then the key: at no moment is there a key without its limits. */
export const provision = [createProject, setBudget, createKey] as const satisfies readonly AcmeStep[];
