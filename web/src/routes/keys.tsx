import { type KeyView, keyStatuses } from "@keygate/shared/contracts/keys";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Download, KeyRound, Plus } from "lucide-react";
import { useRef, useState } from "react";
import { ChangeLink } from "../components/change.tsx";
import { Choice, FilterChip, Filters, SearchBox } from "../components/filters.tsx";
import { Page, Pager } from "../components/page.tsx";
import { Button } from "../components/ui/button.tsx";
import { Card } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { allKeys, type KeySearch, keysQuery } from "../data/keys.ts";
import { KeysTable } from "../features/keys/keys-table.tsx";
import { RotateMany } from "../features/keys/rotate-many.tsx";
import { SelectedKeys } from "../features/keys/selected-keys.tsx";
import { download, toCsv } from "../lib/csv.ts";
import { count, plural, words } from "../lib/format.ts";
import { toast, toastProblem } from "../lib/toasts.ts";

const route = getRouteApi("/app/keys");
const statuses = [
  ["", "Active"],
  ["all", "Every state"],
  ...keyStatuses.filter((status) => status !== "active").map((status) => [status, words(status)] as const),
] as const;
const vendorOptions = [
  ["", "Every vendor"],
  ...Object.entries(vendorContracts).map(([id, { title }]) => [id, title] as const),
] as const;

export function KeysPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const keys = useQuery(keysQuery(search));
  // Held here and not by the list, which loses the keys while they are rotated.
  const [rotating, setRotating] = useState<KeyView[] | null>(null);
  const filter = (change: Partial<Record<keyof KeySearch, string | undefined>>) =>
    navigate({ to: "/keys", search: { ...search, cursor: undefined, ...change } as KeySearch, replace: "q" in change });
  const { cursor: _cursor, ...filters } = search;
  const isFiltered = Object.values(filters).some((value) => value !== undefined);

  return (
    <Page
      title="Keys"
      note="Every key that KeyGate made, and what has become of it."
      action={
        <ChangeLink variant="primary" to="/keys/new">
          <Plus aria-hidden /> New key
        </ChangeLink>
      }
    >
      <Card>
        <Filters>
          <SearchBox label="Developer, e-mail, key hint or project" value={search.q} onSearch={(q) => filter({ q })} />
          <Choice label="State" value={search.status} options={statuses} onChange={(status) => filter({ status })} />
          <Choice
            label="Vendor"
            value={search.vendor}
            options={vendorOptions}
            onChange={(vendor) => filter({ vendor })}
          />
          {search.developer_id ? (
            <FilterChip label="One developer" onRemove={() => filter({ developer_id: undefined })} />
          ) : null}
          {search.expires_within_days ? (
            <FilterChip
              label={`End within ${plural(search.expires_within_days, "day")}`}
              onRemove={() => filter({ expires_within_days: undefined })}
            />
          ) : null}
          {search.workspace_id ? (
            <FilterChip label="One workspace" onRemove={() => filter({ workspace_id: undefined })} />
          ) : null}
        </Filters>
        {keys.isError ? (
          <ProblemNotice
            className="m-4"
            error={keys.error}
            action={<Button onClick={() => keys.refetch()}>Try again</Button>}
          />
        ) : null}
        {keys.isPending ? <SkeletonRows rows={10} /> : null}
        {keys.data?.items.length === 0 ? (
          <Empty
            icon={KeyRound}
            title={isFiltered ? "No key is like that" : "No active keys yet"}
            action={
              isFiltered ? (
                <Button onClick={() => navigate({ to: "/keys", search: {} })}>Take the filters away</Button>
              ) : (
                <ChangeLink variant="primary" to="/keys/new">
                  Make the first key
                </ChangeLink>
              )
            }
          >
            {isFiltered
              ? "Only active keys are listed unless another state is chosen."
              : "A key is made at the vendor for one developer, with limits, and handed over once."}
          </Empty>
        ) : null}
        {keys.data?.items.length ? (
          <>
            <KeysTable
              keys={keys.data.items}
              tools={<Export search={filters} />}
              renderSelected={(selected, clear) => (
                <SelectedKeys
                  keys={selected}
                  onClear={clear}
                  onRotate={setRotating}
                  onBatch={(id) => navigate({ to: "/jobs/$id", params: { id } })}
                />
              )}
            />
            <Pager
              shown={keys.data.items.length}
              noun="key"
              next={keys.data.next}
              cursor={search.cursor}
              onCursor={(cursor) => navigate({ to: "/keys", search: { ...search, cursor } })}
            />
          </>
        ) : null}
      </Card>
      <RotateMany keys={rotating} onClose={() => setRotating(null)} />
    </Page>
  );
}

const exported: readonly (keyof KeyView)[] = [
  "id",
  "developer_name",
  "developer_id",
  "team",
  "vendor",
  "status",
  "key_hint",
  "project_name",
  "description",
  "budget_limit_usd",
  "rate_limit_rpm",
  "expires_at",
  "created_at",
  "activated_at",
  "claimed_at",
  "revoked_at",
  "status_reason",
  "workspace_id",
  "simulated",
];

/** What is listed, all pages of it; never a key itself, which nobody has. */
function Export({ search }: { search: KeySearch }) {
  const [found, setFound] = useState<number | null>(null);
  const abort = useRef<AbortController>(null);
  const run = async () => {
    abort.current = new AbortController();
    setFound(0);
    try {
      const keys = await allKeys(search, abort.current.signal, setFound);
      const cells = keys.map((key) =>
        exported.map((name) => {
          const value = key[name];
          return Array.isArray(value) ? value.join(" ") : value;
        }),
      );
      download(`keygate-keys-${new Date().toISOString().slice(0, 10)}.csv`, toCsv([exported, ...cells]), "text/csv");
      toast("good", "Exported", `${count(keys.length)} keys, without any secret.`);
    } catch (error) {
      if (!abort.current.signal.aborted) toastProblem(error);
    } finally {
      setFound(null);
    }
  };
  return (
    <Button size="sm" variant="ghost" onClick={() => (found === null ? void run() : abort.current?.abort())}>
      <Download aria-hidden /> {found === null ? "Export CSV" : `${count(found)} so far, stop`}
    </Button>
  );
}
