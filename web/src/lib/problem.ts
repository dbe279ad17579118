import { ProblemDetails } from "@keygate/shared/contracts/problems";

/** What the API, or the way to it, said instead of an answer. */
export class Problem extends Error {
  readonly details: ProblemDetails;
  readonly retryAfterSeconds: number | null;

  constructor(details: ProblemDetails, retryAfterSeconds: number | null = null) {
    super(details.detail || details.title);
    this.name = "Problem";
    this.details = details;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  get code(): string {
    return this.details.code;
  }

  get status(): number {
    return this.details.status;
  }
}

const local = (code: string, status: number, title: string, detail: string): Problem =>
  new Problem({ type: "about:blank", code, status, title, detail });

export const unreachable = (): Problem =>
  local(
    "network.unreachable",
    0,
    "KeyGate cannot be reached",
    "Check your connection. What you typed is still here; try again.",
  );

export const unreadable = (): Problem =>
  local(
    "answer.unreadable",
    0,
    "KeyGate answered in a way this page does not understand",
    "Reload the page: KeyGate may have been updated.",
  );

/** The problem in an answer that is not a success. */
export async function problemOf(response: Response): Promise<Problem> {
  const parsed = ProblemDetails.safeParse(await response.json().catch(() => null));
  const after = Number(response.headers.get("retry-after"));
  const seconds = Number.isFinite(after) && after > 0 ? after : null;
  if (parsed.success) return new Problem(parsed.data, seconds);
  return local(
    "answer.failed",
    response.status,
    "KeyGate could not answer",
    `It answered with status ${response.status}. Try again in a moment.`,
  );
}

/** Any thrown value as a problem that can be shown. */
export const asProblem = (error: unknown): Problem =>
  error instanceof Problem
    ? error
    : local(
        "page.failed",
        0,
        "Something went wrong in this page",
        error instanceof Error ? error.message : "Reload the page and try again.",
      );

/** What a person can do about it, where the problem's own words do not say so. */
export function nextStep(problem: Problem): string | null {
  if (problem.retryAfterSeconds) return `Try again in ${problem.retryAfterSeconds} seconds.`;
  if (problem.code === "auth.forbidden") return "Ask an owner or admin of this KeyGate.";
  if (problem.code === "vendor.refused_us") return "Open the vendor's page and check its admin credential.";
  if (problem.code === "vendor.not_configured") return "Set the vendor up first, under Vendors.";
  if (problem.status >= 500) return "Nothing is lost: KeyGate keeps what it had begun. Try again in a moment.";
  return null;
}
