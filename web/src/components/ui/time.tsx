import { exactUtc, fromNow, localDateTime, localDay } from "../../lib/format.ts";

/** A moment in local time; the exact one in UTC is its title. */
export function Time({ at, as = "relative" }: { at: string; as?: "relative" | "day" | "full" }) {
  const text = as === "relative" ? fromNow(at) : as === "day" ? localDay(at) : localDateTime(at);
  return (
    <time
      dateTime={at}
      title={as === "relative" ? `${localDateTime(at)} · ${exactUtc(at)}` : exactUtc(at)}
      className="whitespace-nowrap"
    >
      {text}
    </time>
  );
}
