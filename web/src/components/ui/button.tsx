import type { ButtonHTMLAttributes, ReactNode } from "react";
import { cn } from "../../lib/cn.ts";
import { toast } from "../../lib/toasts.ts";

const variants = {
  primary: "bg-brand text-on-brand hover:bg-brand-strong border-transparent",
  secondary: "bg-raised text-ink border-line-strong/70 hover:bg-sunken",
  ghost: "bg-transparent text-ink-2 border-transparent hover:bg-sunken hover:text-ink",
  danger: "bg-bad-soft text-bad border-bad/40 hover:border-bad",
} as const;
const sizes = {
  sm: "h-7 px-2.5 text-[0.8125rem] gap-1.5",
  md: "h-9 px-3.5 gap-2",
  icon: "size-9 justify-center",
} as const;

export const buttonClass = (
  variant: keyof typeof variants = "secondary",
  size: keyof typeof sizes = "md",
  className?: string,
) =>
  cn(
    "inline-flex shrink-0 items-center justify-center rounded-md border font-medium whitespace-nowrap select-none transition-colors",
    "disabled:opacity-55 aria-disabled:opacity-55 [&_svg]:size-4 [&_svg]:shrink-0",
    variants[variant],
    sizes[size],
    className,
  );

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  variant?: keyof typeof variants;
  size?: keyof typeof sizes;
  /** While it runs: pressing again does nothing, and says so. */
  isBusy?: boolean;
  /** Why it cannot be pressed; it stays focusable, so that the reason can be read, and says it when it is pressed. */
  reason?: string | null | undefined;
  children: ReactNode;
}

export function Button({
  variant,
  size,
  isBusy = false,
  reason,
  className,
  onClick,
  children,
  type = "button",
  ...rest
}: ButtonProps) {
  const isOff = isBusy || Boolean(reason);
  return (
    <button
      {...rest}
      type={type}
      aria-disabled={isOff || undefined}
      aria-busy={isBusy || undefined}
      title={reason ?? rest.title}
      className={buttonClass(variant, size, className)}
      onClick={(event) => {
        if (!isOff) return onClick?.(event);
        event.preventDefault();
        // A finger and a keyboard see no title.
        if (reason) toast("info", reason);
      }}
    >
      {isBusy ? (
        <span aria-hidden className="size-3.5 animate-spin rounded-full border-2 border-current border-r-transparent" />
      ) : null}
      {children}
    </button>
  );
}
