import { Check, Copy, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { Button, type ButtonProps } from "./button.tsx";

export interface CopyButtonProps extends Omit<ButtonProps, "children" | "onClick" | "onCopy"> {
  text: string | (() => string);
  label?: string;
  onCopied?(): void;
}

/** Says "Copied" only after the clipboard has taken it. */
export function CopyButton({ text, label = "Copy", onCopied, size = "sm", ...rest }: CopyButtonProps) {
  const [state, setState] = useState<"idle" | "copied" | "refused">("idle");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
      setState("copied");
      onCopied?.();
    } catch {
      setState("refused");
    }
    setTimeout(() => setState("idle"), 2_500);
  };
  const Icon = { idle: Copy, copied: Check, refused: TriangleAlert }[state];
  return (
    <Button {...rest} size={size} onClick={copy}>
      <Icon aria-hidden />
      <span aria-live="polite">
        {{ idle: label, copied: "Copied", refused: "The browser refused: select and copy" }[state]}
      </span>
    </Button>
  );
}
