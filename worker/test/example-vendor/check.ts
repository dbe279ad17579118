import type { CheckReport } from "@keygate/shared/contracts/vendors";
import { KeyGateError } from "@keygate/shared/errors";
import type { AcmeClient } from "./client.ts";

const neededScope = "projects:write";

/** One read, which also tells the token's scopes. What is missing is named. */
export async function check(client: AcmeClient): Promise<Pick<CheckReport, "ok" | "findings" | "missing">> {
  const answer = (ok: boolean, detail: string, missing: string[]) => ({
    ok,
    findings: [{ name: "admin token", ok, detail }],
    missing,
  });
  try {
    const { scopes } = await client.organization();
    return scopes.includes(neededScope)
      ? answer(true, "The token may make projects and keys.", [])
      : answer(false, "The token is alive, but may not make projects.", [neededScope]);
  } catch (error) {
    if (!(error instanceof KeyGateError)) throw error;
    const isRefusal = error.code === "vendor.refused_us";
    return answer(false, error.detail ?? error.title, isRefusal ? ["an admin token of this organization"] : []);
  }
}
