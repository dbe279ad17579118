import type { ReactNode, TdHTMLAttributes, ThHTMLAttributes } from "react";
import { cn } from "../../lib/cn.ts";

/** Scrolls sideways within itself on narrow screens; focusable, so that the keyboard can scroll it too. */
export const Table = ({ label, children }: { label: string; children: ReactNode }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable
  <section aria-label={label} tabIndex={0} className="relative overflow-x-auto focus-visible:outline-offset-[-2px]">
    <table className="w-full border-collapse text-left">{children}</table>
  </section>
);

export const Th = ({ className, ...rest }: ThHTMLAttributes<HTMLTableCellElement>) => (
  <th
    scope="col"
    {...rest}
    className={cn(
      "h-9 border-b border-line px-3 first:pl-4 last:pr-4 text-xs font-medium whitespace-nowrap text-ink-3",
      className,
    )}
  />
);
export const Td = ({ className, ...rest }: TdHTMLAttributes<HTMLTableCellElement>) => (
  <td
    {...rest}
    className={cn(
      "h-11 border-b border-line px-3 first:pl-4 last:pr-4 [tr:last-child>&]:border-b-0 py-1.5 align-middle",
      className,
    )}
  />
);
