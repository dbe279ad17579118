import { DropdownMenu as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "../../lib/cn.ts";

const item =
  "flex cursor-default items-center gap-2 rounded px-2 py-1.5 outline-none select-none data-highlighted:bg-sunken data-disabled:opacity-50 [&_svg]:size-4 [&_svg]:text-ink-3";

export function Menu({ trigger, label, children }: { trigger: ReactNode; label: string; children: ReactNode }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          aria-label={label}
          align="end"
          sideOffset={6}
          className="appear z-50 min-w-48 rounded-lg border border-line bg-raised p-1 text-ink shadow-xl"
        >
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export const MenuItem = ({
  onSelect,
  isDangerous,
  disabled,
  children,
}: {
  onSelect(): void;
  isDangerous?: boolean;
  disabled?: boolean;
  children: ReactNode;
}) => (
  <Radix.Item
    disabled={disabled ?? false}
    onSelect={onSelect}
    className={cn(item, isDangerous && "text-bad [&_svg]:text-bad")}
  >
    {children}
  </Radix.Item>
);

export const MenuCheck = ({
  isChecked,
  onChange,
  children,
}: {
  isChecked: boolean;
  onChange(isChecked: boolean): void;
  children: ReactNode;
}) => (
  <Radix.CheckboxItem
    checked={isChecked}
    onCheckedChange={onChange}
    onSelect={(event) => event.preventDefault()}
    className={item}
  >
    <span className="grid size-4 place-items-center rounded border border-line-strong text-[0.625rem]">
      <Radix.ItemIndicator>✓</Radix.ItemIndicator>
    </span>
    {children}
  </Radix.CheckboxItem>
);

export const MenuLabel = ({ children }: { children: ReactNode }) => (
  <Radix.Label className="px-2 py-1.5 text-xs text-ink-3">{children}</Radix.Label>
);
export const MenuLine = () => <Radix.Separator className="my-1 h-px bg-line" />;
