import { Compass } from "lucide-react";
import { buttonClass } from "../components/ui/button.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { Button } from "../components/ui/button.tsx";

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
  <div className="mx-auto max-w-xl py-16">
    <title>Not found · KeyGate</title>
    <Empty
      icon={Compass}
      title="There is nothing at this address"
      action={
        <a className={buttonClass()} href="/">
          To the overview
        </a>
      }
    >
      It may have been mistyped, or it belongs to another KeyGate.
    </Empty>
  </div>
);
