import { awaitAccount, createAccount } from "./accounts.ts";
import { addBinding, chooseRole } from "./bindings.ts";
import { createKey, verifyKey } from "./keys.ts";
import { patient } from "./patience.ts";

/** The grant with its end first, then the key: at no moment is there a key whose access has no end. */
export const provision = [chooseRole, createAccount, awaitAccount, addBinding, createKey, verifyKey].map(patient);
