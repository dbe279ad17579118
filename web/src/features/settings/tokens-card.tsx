import type { ServiceTokenView } from "@keygate/shared/contracts/tokens";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { ChangeButton } from "../../components/change.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Badge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Card, CardHead } from "../../components/ui/card.tsx";
import { ProblemNotice } from "../../components/ui/notice.tsx";
import { SkeletonRows } from "../../components/ui/skeleton.tsx";
import { Table, Td, Th } from "../../components/ui/table.tsx";
import { Time } from "../../components/ui/time.tsx";
import { queryClient } from "../../data/query-client.ts";
import { revokeServiceToken, tokensQuery } from "../../data/tokens.ts";
import { toast } from "../../lib/toasts.ts";
import { TokenDialog } from "./token-dialog.tsx";

const tones = { active: "good", expired: "neutral", revoked: "neutral" } as const;

/** What programs sign in with. Everybody sees it; admins change it. */
export function TokensCard() {
  const [isAll, setAll] = useState(false);
  const tokens = useQuery(tokensQuery(isAll ? "all" : "active"));
  const [isNew, setNew] = useState(false);
  const [ending, setEnding] = useState<ServiceTokenView | null>(null);
  const items = tokens.data?.items;
  return (
    <Card className="lg:col-span-2">
      <CardHead
        title="Service tokens"
        note="What programs sign in with: CI, scripts, a CLI."
        action={
          <span className="flex gap-2">
            <Button variant="ghost" aria-pressed={isAll} onClick={() => setAll(!isAll)}>
              {isAll ? "Hide ended" : "Show ended"}
            </Button>
            <ChangeButton onClick={() => setNew(true)}>
              <Plus aria-hidden /> New token
            </ChangeButton>
          </span>
        }
      />
      {tokens.isError ? <ProblemNotice className="m-4" error={tokens.error} /> : null}
      {tokens.isPending ? <SkeletonRows /> : null}
      {items?.length === 0 ? (
        <p className="p-4 text-ink-2">
          None yet. A token does what its scopes say until it expires; a program should not sign in with a person's
          password.
        </p>
      ) : null}
      {items && items.length > 0 ? (
        <Table label="Service tokens">
          <thead>
            <tr>
              <Th>Name</Th>
              <Th className="max-sm:hidden">Last used</Th>
              <Th>Ends</Th>
              <Th>
                <span className="sr-only">Actions</span>
              </Th>
            </tr>
          </thead>
          <tbody>
            {items.map((token) => (
              <tr key={token.id}>
                <Td>
                  <span className="font-medium">{token.name}</span>
                  <span className="block text-[0.8125rem] text-ink-3">
                    <span className="font-mono">{token.hint}</span> by {token.created_by}
                  </span>
                  <span className="block font-mono text-[0.8125rem] text-ink-2">{token.scopes.join(", ")}</span>
                </Td>
                <Td className="max-sm:hidden">
                  {token.last_used_at ? <Time at={token.last_used_at} /> : <span className="text-ink-3">never</span>}
                </Td>
                <Td>
                  {token.status === "active" ? (
                    <Time at={token.expires_at} />
                  ) : (
                    <Badge tone={tones[token.status]}>{token.status}</Badge>
                  )}
                </Td>
                <Td className="text-right">
                  {token.status === "active" ? (
                    <ChangeButton
                      size="sm"
                      variant="danger"
                      aria-label={`Revoke ${token.name}`}
                      onClick={() => setEnding(token)}
                    >
                      Revoke
                    </ChangeButton>
                  ) : null}
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
      <TokenDialog isOpen={isNew} onClose={() => setNew(false)} />
      <Confirm
        isOpen={ending !== null}
        onClose={() => setEnding(null)}
        title={`Revoke ${ending?.name ?? ""}`}
        deed="Revoke"
        run={async () => {
          if (!ending) return;
          await revokeServiceToken(ending.id);
          toast("good", `${ending.name} is revoked`);
          await queryClient.invalidateQueries({ queryKey: ["tokens"] });
        }}
      >
        <p>Whatever uses it is refused from the next request on. Keys that it asked for stay.</p>
      </Confirm>
    </Card>
  );
}
