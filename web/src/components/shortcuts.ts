import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { navigation } from "./navigation.ts";

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

const chordMs = 1_200;

/** Keys that work anywhere on a page, except where somebody types or a window is open. */
export function useShortcuts({ onPalette, onHelp }: { onPalette(): void; onHelp(): void }): void {
  const navigate = useNavigate();
  const pressedG = useRef(0);
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        onPalette();
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      if (document.querySelector("[role=dialog]")) return;
      const page = navigation.find(({ key }) => key === event.key);
      if (page && Date.now() - pressedG.current < chordMs) {
        pressedG.current = 0;
        void navigate({ to: page.to });
      } else if (event.key === "g") pressedG.current = Date.now();
      else if (event.key === "?") onHelp();
      else if (event.key === "n") void navigate({ to: "/keys/new" });
      else if (event.key === "/") {
        const search = document.querySelector<HTMLInputElement>("main input[type=search]");
        if (search) {
          event.preventDefault();
          search.focus();
        }
      }
    };
    addEventListener("keydown", hear);
    return () => removeEventListener("keydown", hear);
  }, [navigate, onPalette, onHelp]);
}
