import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { cn } from "../../lib/cn.ts";

export interface DialogProps {
  isOpen: boolean;
  onClose(): void;
  title: ReactNode;
  description?: ReactNode;
  children: ReactNode;
  className?: string;
  /** Neither Escape nor a click beside it closes it. */
  isModalOnly?: boolean;
}

// What systems take for a double click, unless told otherwise.
const doubleClickMs = 500;

/** A window over the page: focus goes in, stays in, and comes back to where it was. */
export function Dialog({ isOpen, onClose, title, description, children, className, isModalOnly = false }: DialogProps) {
  // Radix gives focus back to a trigger of its own; ours are opened from anywhere, the address bar included.
  const [wasOpen, setWasOpen] = useState(isOpen);
  const [opener, setOpener] = useState(() => (isOpen ? document.activeElement : null));
  const openedAt = useRef(0);
  if (wasOpen !== isOpen) {
    setWasOpen(isOpen);
    if (isOpen) setOpener(document.activeElement);
  }
  useLayoutEffect(() => {
    if (isOpen) openedAt.current = performance.now();
  }, [isOpen]);
  const keep = (event: Event) => {
    if (isModalOnly) event.preventDefault();
  };
  // The second press of a double click on what opened it falls beside it, and is not meant to close it.
  const keepFromDoubleClick = (event: CustomEvent<{ originalEvent: PointerEvent }>) => {
    keep(event);
    if (event.detail.originalEvent.timeStamp < openedAt.current + doubleClickMs) event.preventDefault();
  };
  return (
    <Radix.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-shade" />
        <div className="pointer-events-none fixed inset-0 z-50 grid items-end justify-items-center overflow-y-auto sm:items-center sm:p-4">
          <Radix.Content
            onCloseAutoFocus={(event) => {
              event.preventDefault();
              if (opener instanceof HTMLElement) opener.focus();
            }}
            onEscapeKeyDown={keep}
            onPointerDownOutside={keepFromDoubleClick}
            onInteractOutside={keep}
            {...(description ? {} : { "aria-describedby": undefined })}
            className={cn(
              "appear pointer-events-auto relative flex max-h-[92dvh] w-full max-w-lg flex-col overflow-y-auto rounded-t-xl border border-line bg-raised shadow-2xl sm:rounded-xl",
              className,
            )}
          >
            <header className="px-5 pt-5 pr-12">
              <Radix.Title className="text-base font-semibold">{title}</Radix.Title>
              {description ? <Radix.Description className="mt-1 text-ink-2">{description}</Radix.Description> : null}
            </header>
            <div className="px-5 pt-4 pb-5">{children}</div>
            {isModalOnly ? null : (
              <Radix.Close
                className="absolute top-3 right-3 rounded-md p-2 text-ink-3 hover:bg-sunken hover:text-ink"
                aria-label="Close"
              >
                <X className="size-4" />
              </Radix.Close>
            )}
          </Radix.Content>
        </div>
      </Radix.Portal>
    </Radix.Root>
  );
}

export const DialogFoot = ({ children }: { children: ReactNode }) => (
  <div className="mt-5 flex flex-wrap justify-end gap-2">{children}</div>
);
