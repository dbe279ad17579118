import type { DeveloperId } from "@keygate/shared/contracts/ids";
import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import { developerQuery, developersQuery } from "../data/developers.ts";
import { Button } from "./ui/button.tsx";
import { Input } from "./ui/field.tsx";

interface DeveloperPickerProps {
  value: DeveloperId | null;
  onChange(id: DeveloperId | null): void;
  aria: { id: string; "aria-describedby": string | undefined; "aria-invalid": true | undefined };
}

/** Finds a developer among any number: type, choose. */
export function DeveloperPicker({ value, onChange, aria }: DeveloperPickerProps) {
  const [text, setText] = useState("");
  const q = useDeferredValue(text.trim());
  const found = useQuery({ ...developersQuery(q ? { q } : {}, 6), enabled: value === null });
  const chosen = useQuery({ ...developerQuery(value ?? ("" as DeveloperId)), enabled: value !== null });

  if (value !== null) {
    return (
      <div className="flex min-h-9 items-center justify-between gap-3 rounded-md border border-line-strong/70 bg-surface px-3 py-1.5">
        <span className="min-w-0">
          <span className="font-medium">{chosen.data?.name ?? (chosen.isError ? "No such developer" : "…")}</span>{" "}
          <span className="text-ink-3 max-sm:block max-sm:truncate sm:[overflow-wrap:anywhere]">
            {chosen.data?.email}
          </span>
        </span>
        <Button {...aria} size="sm" variant="ghost" onClick={() => onChange(null)}>
          Change
        </Button>
      </div>
    );
  }
  const items = found.data?.items ?? [];
  return (
    <div>
      <Input
        {...aria}
        type="search"
        autoComplete="off"
        placeholder="Name or e-mail"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <ul
        aria-label="Developers found"
        className="mt-1.5 divide-y divide-line rounded-md border border-line bg-surface"
      >
        {items.map((developer) => (
          <li key={developer.id}>
            <button
              type="button"
              className="flex w-full flex-wrap items-baseline gap-x-2 px-3 py-2 text-left hover:bg-sunken focus-visible:outline-offset-[-2px]"
              onClick={() => onChange(developer.id)}
            >
              <span className="font-medium">{developer.name}</span>
              <span className="text-ink-3 [overflow-wrap:anywhere]">{developer.email}</span>
              <span className="ml-auto text-ink-3">{developer.team}</span>
            </button>
          </li>
        ))}
        {items.length === 0 ? (
          <li className="px-3 py-2 text-ink-3">
            {found.isPending ? "Looking …" : q ? "Nobody active is called that." : "No developer is registered yet."}
          </li>
        ) : null}
      </ul>
    </div>
  );
}
