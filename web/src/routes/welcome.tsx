import { useQueryClient } from "@tanstack/react-query";
import { useLocation, useRouter } from "@tanstack/react-router";
import { SetPassword } from "../features/welcome/set-password.tsx";

export function WelcomePage() {
  const token = useLocation({ select: (location) => location.hash });
  const router = useRouter();
  const client = useQueryClient();
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <title>Welcome · KeyGate</title>
      <div className="w-full max-w-sm">
        <div className="mb-6 text-center">
          <img src="/icon.svg" alt="" className="mx-auto size-11" />
          <h1 className="mt-4 text-lg font-semibold tracking-tight">Your password for KeyGate</h1>
        </div>
        <div className="rounded-xl border border-line bg-surface p-5">
          <SetPassword
            key={token}
            token={token}
            onDone={() => {
              client.clear();
              // The link is used up: it need not stand in the history.
              router.history.replace("/");
            }}
          />
        </div>
      </div>
    </main>
  );
}
