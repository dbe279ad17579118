const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "long" });
const whole = new Intl.NumberFormat();

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export const localDateTime = (iso: string): string => dateTime.format(new Date(iso));
export const localDay = (iso: string): string => day.format(new Date(iso));
export const exactUtc = (iso: string): string => `${iso.replace("T", " ").replace(/(\.\d+)?Z$/, "")} UTC`;

/** "3 hours ago", "in 12 days"; "just now" and "in a moment" within the minute. */
export function fromNow(iso: string, now: number = Date.now()): string {
  const seconds = (Date.parse(iso) - now) / 1000;
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return seconds > 0 ? "in a moment" : "just now";
}

/** Dollars without needless cents. */
export const dollars = (amount: number): string =>
  new Intl.NumberFormat("en-US", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: Number.isInteger(amount) ? 0 : 2,
  }).format(amount);

export const count = (n: number): string => whole.format(n);
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** `4:09` of so many seconds. */
export function clock(seconds: number): string {
  const left = Math.max(0, Math.floor(seconds));
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

/** `waiting_for_input` as words. */
export const words = (name: string): string => {
  const text = name.replaceAll(/[._-]/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

/** What a key is called in a list: how it begins and ends, or its project where that tells nothing (a file). */
export const keyLabel = (key: { key_hint: string | null; project_name: string }): string =>
  key.key_hint && !key.key_hint.startsWith("{") ? key.key_hint : key.project_name;
