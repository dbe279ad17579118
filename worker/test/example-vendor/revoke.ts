import { WaitForVendor } from "../../src/saga/wait.ts";
import { type AcmeStep, removeProject } from "./provision.ts";

const lookAgainMs = 1_000;

/** A step of ending: repeatable, with nothing to find and nothing to undo. */
const ending = (name: string, run: AcmeStep["run"]): AcmeStep => ({
  name,
  onFound: "repeat",
  find: null,
  undo: null,
  run,
});

/** Acme's names hold the organization, so "not found" cannot come from a credential of another one: that gets a 403. */
const deleteKey = ending("delete-key", async ({ client }, { keyId }) => {
  if (keyId) await client.deleteKey(keyId);
  return {};
});

/** Revoked means that a look does not find the key any more. */
const confirmKeyGone = ending("confirm-key-gone", async ({ client }, { keyId }) => {
  if (keyId && (await client.getKey(keyId))) throw new WaitForVendor(lookAgainMs, "Acme still shows the key");
  return {};
});

const deleteProject = ending("delete-project", async ({ client }, { project }) => {
  if (project) await removeProject(client, project);
  return {};
});

/** The key first, since that ends access; the project goes with the last key. */
export const revoke = (last: boolean): readonly AcmeStep[] =>
  last ? [deleteKey, confirmKeyGone, deleteProject] : [deleteKey, confirmKeyGone];

export const dismantle = [deleteProject] as const satisfies readonly AcmeStep[];
