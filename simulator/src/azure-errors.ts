/** ARM's errors: one envelope, a code to decide on, a message for people. */
import type { SimResponse } from "./core.ts";

export interface ArmErrorBody {
  code: string;
  message: string;
  target?: string;
  details?: ArmErrorBody[];
  additionalInfo?: { type: string; info: Record<string, unknown> }[];
}

/** Thrown by whatever handles a call; becomes the answer. */
export class ArmError extends Error {
  readonly status: number;
  readonly error: ArmErrorBody;
  readonly headers: Record<string, string>;
  /** Whether the caller sent something that it should never send. */
  readonly isViolation: boolean;

  constructor(
    status: number,
    error: ArmErrorBody,
    more: { headers?: Record<string, string>; isViolation?: boolean } = {},
  ) {
    super(`${error.code}: ${error.message}`);
    this.status = status;
    this.error = error;
    this.headers = more.headers ?? {};
    this.isViolation = more.isViolation ?? false;
  }

  response(): SimResponse {
    return { status: this.status, headers: this.headers, body: { error: this.error } };
  }
}

/** A call that no correct client makes: refused, and filed as a violation. */
export const malformed = (code: string, message: string, status = 400) =>
  new ArmError(status, { code, message }, { isViolation: true });

/** A well-formed call for something that this region, SKU or model does not offer. */
export const notOffered = (message: string) => new ArmError(400, { code: "InvalidResourceProperties", message });

export const notFound = (type: string, name: string, group: string) =>
  new ArmError(404, {
    code: "ResourceNotFound",
    message:
      `The Resource '${type}/${name}' under resource group '${group}' was not found. ` +
      "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
  });

export const conflict = (id: string, why: "not-terminal" | "busy-parent") =>
  new ArmError(409, {
    code: "RequestConflict",
    message:
      why === "not-terminal"
        ? `Cannot modify resource with id '${id}' because the resource entity provisioning state is not terminal. ` +
          "Please wait for the provisioning state to become terminal and then retry the request."
        : `Another operation is being performed on the parent resource '${id}'. Please try again later.`,
  });

export const subdomainTaken = (subdomain: string): ArmErrorBody => ({
  code: "CustomDomainInUse",
  message:
    "Please pick a different name. " +
    `The subdomain name '${subdomain}' is not available as it's already used by a resource.`,
});

export const disallowedByPolicy = (name: string) =>
  new ArmError(403, {
    code: "RequestDisallowedByPolicy",
    message: `Resource '${name}' was disallowed by policy.`,
    target: name,
    additionalInfo: [
      {
        type: "PolicyViolation",
        info: {
          policyDefinitionDisplayName:
            "Azure AI Services resources should have key access disabled (disable local authentication)",
        },
      },
    ],
  });
