import { Compass } from "lucide-react";
import { Button, buttonClass } from "../components/ui/button.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";

export const Pending = () => (
  <div className="mx-auto w-full max-w-6xl px-4 py-8 sm:px-8">
    <SkeletonRows />
  </div>
);

export const Failed = ({ error, reset }: { error: unknown; reset?: () => void }) => (
  <div className="mx-auto w-full max-w-2xl px-4 py-16">
    <ProblemNotice
      error={error}
      action={
        <>
          {reset ? <Button onClick={reset}>Try again</Button> : null}
          <Button onClick={() => location.reload()}>Reload the page</Button>
        </>
      }
    />
  </div>
);

export const NotFound = () => (
  <div className="mx-auto flex max-w-xl flex-col items-center px-4 py-20 text-center">
    <title>Not found · KeyGate</title>
    <Compass aria-hidden className="size-8 text-ink-3" />
    <h1 className="mt-4 text-lg font-semibold">There is nothing at this address</h1>
    <p className="mt-1 text-ink-2">It may have been mistyped, or it belongs to another KeyGate.</p>
    <a className={buttonClass("secondary", "md", "mt-5")} href="/">
      To the overview
    </a>
  </div>
);
