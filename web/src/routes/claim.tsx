import { getRouteApi, useLocation } from "@tanstack/react-router";
import { Claim } from "../features/handover/claim.tsx";

const route = getRouteApi("/claim/$id");

export function ClaimPage() {
  const { id } = route.useParams();
  const privateHalf = useLocation({ select: (location) => location.hash });
  return (
    <main className="mx-auto flex min-h-dvh w-full max-w-2xl flex-col justify-center gap-5 px-4 py-10">
      <title>A key for you · KeyGate</title>
      <header className="flex items-center gap-3">
        <img src="/icon.svg" alt="" className="size-8" />
        <h1 className="text-lg font-semibold tracking-tight">A key for you</h1>
      </header>
      <Claim key={id} id={id} privateHalf={privateHalf} />
      <p className="text-[0.8125rem] text-ink-3">
        KeyGate made this key at the vendor for you alone. The key is opened in this page: what opens it stands behind
        the # of the link and never leaves your browser.
      </p>
    </main>
  );
}
