import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { SignInForm } from "../features/session/sign-in-form.tsx";

const route = getRouteApi("/sign-in");

export function SignInPage() {
  const { to } = route.useSearch();
  const router = useRouter();
  const client = useQueryClient();
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <title>Sign in · KeyGate</title>
      <div className="w-full max-w-sm">
        <div className="mb-6 text-center">
          <img src="/icon.svg" alt="" className="mx-auto size-11" />
          <h1 className="mt-4 text-lg font-semibold tracking-tight">Sign in to KeyGate</h1>
          <p className="mt-1 text-ink-2">A real vendor key for each developer, and taken back when it should be.</p>
        </div>
        <div className="rounded-xl border border-line bg-surface p-5">
          <SignInForm
            onSignedIn={() => {
              client.clear();
              router.history.push(to ?? "/");
            }}
          />
        </div>
        <p className="mt-4 text-center text-[0.8125rem] text-ink-3">
          The first account is made at the start from ADMIN_EMAIL and ADMIN_PASSWORD; npm start prints it.
        </p>
      </div>
    </main>
  );
}
