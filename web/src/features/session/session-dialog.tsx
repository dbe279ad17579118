import { useQueryClient } from "@tanstack/react-query";
import { Dialog } from "../../components/ui/dialog.tsx";
import { meQuery } from "../../data/auth.ts";
import { restoreSession, useSessionExpired } from "../../lib/session.ts";
import { SignInForm } from "./sign-in-form.tsx";

/** Over whatever the page shows when the session ends: nothing below it is lost, and what was asked goes on afterwards. */
export function SessionDialog() {
  const isExpired = useSessionExpired();
  const client = useQueryClient();
  const me = client.getQueryData(meQuery.queryKey);
  return (
    <Dialog
      isOpen={isExpired}
      onClose={() => {}}
      isModalOnly
      title="Your session has ended"
      description="Sign in again: what you typed stays, and what you asked for goes on."
    >
      <SignInForm {...(me ? { email: me.email } : {})} onSignedIn={restoreSession} />
      <p className="mt-4 text-ink-3">
        Somebody else?{" "}
        <a className="underline" href="/sign-in">
          Start afresh
        </a>
        , without what is on this page.
      </p>
    </Dialog>
  );
}
