import { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { FileUp, UserPlus, Users } from "lucide-react";
import { ChangeButton } from "../components/change.tsx";
import { Choice, Filters, SearchBox } from "../components/filters.tsx";
import { VendorName } from "../components/marks.tsx";
import { Page, Pager } from "../components/page.tsx";
import { Badge } from "../components/ui/badge.tsx";
import { Button } from "../components/ui/button.tsx";
import { Card } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { Table, Td, Th } from "../components/ui/table.tsx";
import { Time } from "../components/ui/time.tsx";
import { type DeveloperSearch, developersQuery } from "../data/developers.ts";
import { statsQuery } from "../data/overview.ts";
import { RegisterDialog } from "../features/developers/developer-form.tsx";
import { ImportDialog } from "../features/developers/import-dialog.tsx";

const route = getRouteApi("/app/developers");

export function DevelopersPage() {
  const { dialog, ...search } = route.useSearch();
  const navigate = useNavigate();
  const developers = useQuery(developersQuery(search));
  const stats = useQuery(statsQuery);
  // Teams that have keys, those on this page, and the one that was asked for.
  const teams = [
    ...new Set([
      ...Object.keys(stats.data?.keys_by_team ?? {}),
      ...(developers.data?.items.map(({ team }) => team) ?? []),
      ...(search.team ? [search.team] : []),
    ]),
  ].sort((a, b) => a.localeCompare(b));
  const filter = (change: DeveloperSearch) =>
    navigate({ to: "/developers", search: { ...search, cursor: undefined, ...change }, replace: "q" in change });
  const open = (which: "register" | "import" | undefined) =>
    navigate({ to: "/developers", search: { ...search, dialog: which }, replace: which === undefined });
  const isFiltered = Boolean(search.q || search.team || search.inactive);
  const register = (
    <ChangeButton variant="primary" onClick={() => open("register")}>
      <UserPlus aria-hidden /> Register
    </ChangeButton>
  );
  const items = developers.data?.items;
  return (
    <Page
      title="Developers"
      note="Whoever receives keys."
      action={
        <>
          <ChangeButton onClick={() => open("import")}>
            <FileUp aria-hidden /> Import CSV
          </ChangeButton>
          {register}
        </>
      }
    >
      <Card>
        <Filters>
          <SearchBox label="Name or e-mail" value={search.q} onSearch={(q) => filter({ q })} />
          <Choice
            label="State"
            value={search.inactive ? "all" : undefined}
            options={[
              ["", "Active"],
              ["all", "Active and deactivated"],
            ]}
            onChange={(value) => filter({ inactive: value ? true : undefined })}
          />
          {teams.length > 0 ? (
            <Choice
              label="Team"
              value={search.team}
              options={[["", "Every team"], ...teams.map((team) => [team, team] as const)]}
              onChange={(team) => filter({ team })}
            />
          ) : null}
        </Filters>
        {developers.isError ? (
          <ProblemNotice
            className="m-4"
            error={developers.error}
            action={<Button onClick={() => developers.refetch()}>Try again</Button>}
          />
        ) : null}
        {developers.isPending ? <SkeletonRows rows={8} /> : null}
        {items?.length === 0 ? (
          <Empty
            icon={Users}
            title={isFiltered ? "Nobody is like that" : "Nobody is registered yet"}
            action={
              isFiltered ? (
                <Button onClick={() => navigate({ to: "/developers", search: {} })}>Take the filters away</Button>
              ) : (
                register
              )
            }
          >
            {isFiltered
              ? null
              : "Register the people who should have keys of their own, one by one or from a CSV file."}
          </Empty>
        ) : null}
        {items?.length ? (
          <>
            <Table label="Developers">
              <thead>
                <tr>
                  <Th>Name</Th>
                  <Th className="max-sm:hidden">E-mail</Th>
                  <Th>Team</Th>
                  <Th>Active keys</Th>
                  <Th>Vendors</Th>
                  <Th>Since</Th>
                </tr>
              </thead>
              <tbody>
                {items.map((developer) => (
                  <tr key={developer.id} className="hover:bg-sunken/60">
                    <Td className="font-medium whitespace-nowrap">
                      <Link
                        to="/developers/$id"
                        params={{ id: developer.id }}
                        title={developer.name}
                        className="inline-block max-w-64 truncate align-middle hover:underline"
                      >
                        {developer.name}
                      </Link>{" "}
                      {developer.is_active ? null : <Badge>deactivated</Badge>}
                      <span className="block max-w-64 truncate font-normal text-ink-3 sm:hidden">
                        {developer.email}
                      </span>
                    </Td>
                    <Td className="max-w-60 truncate text-ink-2 max-sm:hidden" title={developer.email}>
                      {developer.email}
                    </Td>
                    <Td>
                      <button
                        type="button"
                        className="block max-w-44 truncate hover:underline"
                        title={`Only ${developer.team}`}
                        onClick={() => filter({ team: developer.team })}
                      >
                        {developer.team}
                      </button>
                    </Td>
                    <Td className="tabular-nums">{developer.active_key_count}</Td>
                    <Td>
                      <span className="flex flex-wrap gap-x-3">
                        {developer.vendors.flatMap((vendor) => {
                          const known = VendorId.safeParse(vendor);
                          return known.success ? [<VendorName key={vendor} vendor={known.data} />] : [];
                        })}
                      </span>
                    </Td>
                    <Td>
                      <Time at={developer.created_at} as="day" />
                    </Td>
                  </tr>
                ))}
              </tbody>
            </Table>
            <Pager
              shown={items.length}
              noun="developer"
              next={developers.data?.next ?? null}
              cursor={search.cursor}
              onCursor={(cursor) => navigate({ to: "/developers", search: { ...search, cursor } })}
            />
          </>
        ) : null}
      </Card>
      <RegisterDialog
        isOpen={dialog === "register"}
        onClose={() => open(undefined)}
        onDone={({ id }) => navigate({ to: "/developers/$id", params: { id }, replace: true })}
      />
      <ImportDialog isOpen={dialog === "import"} onClose={() => open(undefined)} />
    </Page>
  );
}
