import { cn } from "../../lib/cn.ts";

/** Holds the place of what is coming, in its size. */
export const Skeleton = ({ className }: { className?: string }) => (
  <span aria-hidden className={cn("block animate-pulse rounded bg-line/80", className)} />
);

export const SkeletonRows = ({ rows = 6 }: { rows?: number }) => (
  <div role="status" aria-label="Loading" className="divide-y divide-line">
    {Array.from({ length: rows }, (_, at) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: rows that hold places have no other name
      <div key={at} className="flex h-12 items-center gap-4 px-4">
        <Skeleton className="h-3.5 w-1/4" />
        <Skeleton className="h-3.5 w-1/6" />
        <Skeleton className="h-3.5 w-1/5" />
      </div>
    ))}
  </div>
);
