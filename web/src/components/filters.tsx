import { Search, X } from "lucide-react";
import { type ReactNode, useRef, useState } from "react";
import { Input, Select } from "./ui/field.tsx";

const typingMs = 250;

/** A search that goes to the address bar when the typing pauses. */
export function SearchBox({
  value,
  onSearch,
  label,
}: {
  value: string | undefined;
  onSearch(q: string | undefined): void;
  label: string;
}) {
  const [text, setText] = useState(value ?? "");
  const [seen, setSeen] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  if (seen !== value) {
    // The address bar changed under us: back, or a link.
    setSeen(value);
    setText(value ?? "");
  }
  const search = (next: string) => {
    const q = next.trim() || undefined;
    setSeen(q);
    onSearch(q);
  };
  return (
    <div className="relative min-w-52 flex-1 max-sm:basis-full">
      <Search aria-hidden className="pointer-events-none absolute top-1/2 left-3 size-4 -translate-y-1/2 text-ink-3" />
      <Input
        type="search"
        aria-label={label}
        placeholder={label}
        className="pl-9"
        value={text}
        onChange={(event) => {
          const next = event.target.value;
          setText(next);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => search(next), typingMs);
        }}
      />
    </div>
  );
}

export function Choice({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: string | undefined;
  options: readonly (readonly [string, string])[];
  onChange(value: string | undefined): void;
}) {
  return (
    <Select
      aria-label={label}
      className="w-auto min-w-32 max-sm:flex-1 max-sm:px-2 sm:max-w-56"
      value={value ?? ""}
      onChange={(event) => onChange(event.target.value || undefined)}
    >
      {options.map(([option, text]) => (
        <option key={option} value={option}>
          {text}
        </option>
      ))}
    </Select>
  );
}

export const Filters = ({ children }: { children: ReactNode }) => (
  <search className="flex flex-wrap gap-2 border-b border-line p-3">{children}</search>
);

/** A filter that came by a link and has no control of its own. */
export const FilterChip = ({ label, onRemove }: { label: string; onRemove(): void }) => (
  <button
    type="button"
    onClick={onRemove}
    className="inline-flex h-9 items-center gap-1.5 rounded-md border border-line bg-sunken px-2.5 hover:border-line-strong"
    aria-label={`Remove the filter: ${label}`}
  >
    {label} <X aria-hidden className="size-3.5" />
  </button>
);
