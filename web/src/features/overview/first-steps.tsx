import { Check } from "lucide-react";
import { ChangeLink } from "../../components/change.tsx";
import { Card } from "../../components/ui/card.tsx";
import { cn } from "../../lib/cn.ts";

export interface Progress {
  hasVendor: boolean;
  isSimulated: boolean;
  hasDeveloper: boolean;
  hasKey: boolean;
  isTaken: boolean;
}

/** What leads a newcomer from nothing to a key in somebody's hands. */
export function FirstSteps({ hasVendor, isSimulated, hasDeveloper, hasKey, isTaken }: Progress) {
  const steps = [
    {
      title: "A vendor",
      note: isSimulated
        ? "The vendors here are simulated: try everything, nothing costs. Set up a real one whenever you like."
        : "Give KeyGate the admin credential of a vendor. It is encrypted, and tried at once.",
      isDone: hasVendor,
      to: "/vendors",
      deed: "Set up a vendor",
      search: {},
    },
    {
      title: "A developer",
      note: "Whoever gets a key: a name and an e-mail. They need no account here.",
      isDone: hasDeveloper,
      to: "/developers",
      deed: "Register a developer",
      search: { dialog: "register" },
    },
    {
      title: "A key",
      note: "A real one at the vendor, with a budget, a rate and an end that hold before it exists.",
      isDone: hasKey,
      to: "/keys/new",
      deed: "Make a key",
      search: {},
    },
    {
      title: "Hand it over",
      note: "Shown once in the browser, or sent as a link that only the developer can open.",
      isDone: isTaken,
      to: "/keys",
      deed: "To the key",
      search: {},
    },
  ] as const;
  const now = steps.findIndex(({ isDone }) => !isDone);
  return (
    <Card>
      <div className="border-b border-line px-5 py-4">
        <h2 className="text-base font-semibold">Four steps to the first key</h2>
        <p className="text-ink-2">It takes about two minutes.</p>
      </div>
      <ol className="grid divide-line max-lg:divide-y lg:grid-cols-4 lg:divide-x">
        {steps.map(({ title, note, isDone, to, deed, search }, index) => (
          <li key={title} aria-current={index === now ? "step" : undefined} className="flex flex-col gap-2 p-5">
            <span
              className={cn(
                "grid size-7 place-items-center rounded-full border text-xs font-semibold",
                isDone
                  ? "border-transparent bg-good-soft text-good"
                  : index === now
                    ? "border-transparent bg-brand text-on-brand"
                    : "border-line-strong text-ink-3",
              )}
            >
              {isDone ? <Check aria-label="Done" className="size-4" /> : index + 1}
            </span>
            <h3 className="font-medium">{title}</h3>
            <p className="flex-1 text-ink-2">{note}</p>
            {index === now ? (
              <ChangeLink variant="primary" className="self-start" to={to} search={search}>
                {deed}
              </ChangeLink>
            ) : null}
          </li>
        ))}
      </ol>
    </Card>
  );
}
