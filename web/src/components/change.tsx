import { useQuery } from "@tanstack/react-query";
import { createLink } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, Ref } from "react";
import { meQuery } from "../data/auth.ts";
import { Button, type ButtonProps, buttonClass } from "./ui/button.tsx";

/** Why whoever is signed in may change nothing; null when they may. The API refuses them all the same. */
export function useWhyNotChange(): string | null {
  const me = useQuery(meQuery);
  return me.data?.role === "auditor" ? "Auditors can look, not change" : null;
}

/** A button that changes something: off, with the reason, for those who only look. */
export function ChangeButton({ reason, ...rest }: ButtonProps) {
  const whyNot = useWhyNotChange();
  return <Button {...rest} reason={whyNot ?? reason} />;
}

interface ChangeAnchorProps extends AnchorHTMLAttributes<HTMLAnchorElement>, Pick<ButtonProps, "variant" | "size"> {
  ref?: Ref<HTMLAnchorElement>;
}

function ChangeAnchor({ variant, size, className, children, ...rest }: ChangeAnchorProps) {
  const whyNot = useWhyNotChange();
  if (whyNot) {
    return (
      <Button variant={variant} size={size} className={className} reason={whyNot}>
        {children}
      </Button>
    );
  }
  return (
    <a {...rest} className={buttonClass(variant, size, className)}>
      {children}
    </a>
  );
}

/** A link to a page that is there to change something. */
export const ChangeLink = createLink(ChangeAnchor);
