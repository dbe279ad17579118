import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { meQuery } from "../data/auth.ts";

/** To the queue board, which opens for admins alone. */
export function QueuesLink({ className, children }: { className: string; children: ReactNode }) {
  const me = useQuery(meQuery);
  if (me.data?.role === "auditor") return <span title="The queue board is for admins">{children} (for admins)</span>;
  return (
    <a className={className} href="/queues" target="_blank" rel="noreferrer">
      {children}
    </a>
  );
}
