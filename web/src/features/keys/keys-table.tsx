import type { KeyView } from "@keygate/shared/contracts/keys";
import { Link } from "@tanstack/react-router";
import {
  columnVisibilityFeature,
  createColumnHelper,
  rowSelectionFeature,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { Columns3 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { KeyStatusBadge, VendorName } from "../../components/marks.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Menu, MenuCheck, MenuLabel } from "../../components/ui/menu.tsx";
import { Table, Td, Th } from "../../components/ui/table.tsx";
import { Time } from "../../components/ui/time.tsx";
import { dollars, keyLabel } from "../../lib/format.ts";

const features = tableFeatures({ columnVisibilityFeature, rowSelectionFeature });
const column = createColumnHelper<typeof features, KeyView>();

const dash = <span className="text-ink-3">–</span>;

const columns = column.columns([
  column.accessor("key_hint", {
    header: "Key",
    cell: ({ row: { original: key } }) => (
      <>
        <Link
          to="/keys/$id"
          params={{ id: key.id }}
          title={key.project_name}
          className="inline-block max-w-44 truncate align-middle font-mono text-[0.8125rem] font-medium hover:underline"
        >
          {keyLabel(key)}
        </Link>
        <span className="mt-0.5 flex max-w-44 items-center gap-2 text-[0.8125rem] text-ink-3 sm:hidden">
          <VendorName vendor={key.vendor} isCompact />
          <span className="truncate">{key.developer_name}</span>
        </span>
      </>
    ),
  }),
  column.accessor("developer_name", {
    header: "Developer",
    cell: ({ row: { original: key } }) => (
      <Link
        to="/developers/$id"
        params={{ id: key.developer_id }}
        title={key.developer_name}
        className="inline-block max-w-48 truncate align-middle hover:underline"
      >
        {key.developer_name}
      </Link>
    ),
  }),
  column.accessor("vendor", {
    header: "Vendor",
    cell: ({ row: { original: key } }) => <VendorName vendor={key.vendor} isSimulated={key.simulated} isCompact />,
  }),
  column.accessor("status", {
    header: "Status",
    cell: ({ row: { original: key } }) => <KeyStatusBadge status={key.status} />,
  }),
  column.accessor("team", { header: "Team", cell: ({ row: { original: key } }) => key.team }),
  column.accessor("budget_limit_usd", {
    header: "Budget",
    cell: ({ row: { original: key } }) => <span className="tabular-nums">{dollars(key.budget_limit_usd)}</span>,
  }),
  column.accessor("rate_limit_rpm", {
    header: "Requests a minute",
    cell: ({ row: { original: key } }) => <span className="tabular-nums">{key.rate_limit_rpm}</span>,
  }),
  column.accessor("expires_at", {
    header: "Expires",
    cell: ({ row: { original: key } }) => (key.expires_at ? <Time at={key.expires_at} /> : dash),
  }),
  column.accessor("created_at", { header: "Made", cell: ({ row: { original: key } }) => <Time at={key.created_at} /> }),
  column.accessor("claimed_at", {
    header: "Taken",
    cell: ({ row: { original: key } }) => (key.claimed_at ? <Time at={key.claimed_at} /> : dash),
  }),
  column.accessor("project_name", {
    header: "Project at the vendor",
    cell: ({ row: { original: key } }) => (
      <span className="font-mono text-[0.8125rem] whitespace-nowrap">{key.project_name}</span>
    ),
  }),
  column.accessor("description", {
    header: "What it is for",
    cell: ({ row: { original: key } }) => <span className="line-clamp-2 min-w-40">{key.description}</span>,
  }),
]);

const hiddenAtFirst = {
  team: false,
  created_at: false,
  rate_limit_rpm: false,
  claimed_at: false,
  project_name: false,
  description: false,
};
const storageKey = "keygate-key-columns";

type Shown = Record<string, boolean>;
function storedColumns(): Shown {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(storageKey) ?? "null");
    return typeof stored === "object" && stored !== null ? { ...hiddenAtFirst, ...(stored as Shown) } : hiddenAtFirst;
  } catch {
    return hiddenAtFirst;
  }
}

export interface KeysTableProps {
  keys: readonly KeyView[];
  /** Beside the choice of columns. */
  tools?: ReactNode;
  renderSelected(keys: KeyView[], clear: () => void): ReactNode;
}

/** On a phone vendor and developer stand below the key, so that the status is seen without scrolling. */
const onlyWide = (column: string) => (column === "developer_name" || column === "vendor" ? "max-sm:hidden" : "");

const noKeys: KeyView[] = [];

export function KeysTable({ keys, tools, renderSelected }: KeysTableProps) {
  const [columnVisibility, setVisible] = useState<Shown>(storedColumns);
  const [rowSelection, setSelection] = useState<Record<string, true>>({});
  const data = keys.length > 0 ? (keys as KeyView[]) : noKeys;
  const table = useTable({
    features,
    columns,
    data,
    getRowId: (key) => key.id,
    state: { columnVisibility, rowSelection },
    onColumnVisibilityChange: setVisible,
    onRowSelectionChange: setSelection as never,
  });
  const show = (id: string, isShown: boolean) => {
    const next = { ...columnVisibility, [id]: isShown };
    setVisible(next);
    try {
      localStorage.setItem(storageKey, JSON.stringify(next));
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  };
  const selected = keys.filter((key) => rowSelection[key.id]);
  const isShown = (id: string) => columnVisibility[id] !== false;
  const all = keys.length > 0 && selected.length === keys.length;

  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
        {selected.length > 0 ? (
          renderSelected(selected, () => setSelection({}))
        ) : (
          <span className="text-[0.8125rem] text-ink-3">Select keys to act on several at once.</span>
        )}
        <span className="ml-auto flex gap-2">
          {tools}
          <Menu
            label="Columns"
            trigger={
              <Button size="sm" variant="ghost">
                <Columns3 aria-hidden /> Columns
              </Button>
            }
          >
            <MenuLabel>Columns</MenuLabel>
            {table.getAllLeafColumns().map(({ id, columnDef }) => (
              <MenuCheck key={id} isChecked={isShown(id)} onChange={(checked) => show(id, checked)}>
                {String(columnDef.header)}
              </MenuCheck>
            ))}
          </Menu>
        </span>
      </div>
      <Table label="Keys">
        <thead>
          <tr>
            <Th className="w-10 pr-0">
              <input
                type="checkbox"
                aria-label="Select every key on this page"
                className="size-4 align-middle accent-brand"
                checked={all}
                onChange={() => setSelection(all ? {} : Object.fromEntries(keys.map((key) => [key.id, true as const])))}
              />
            </Th>
            {table.getHeaderGroups().flatMap((group) =>
              group.headers.map((header) => (
                <Th key={header.id} className={onlyWide(header.column.id)}>
                  <table.FlexRender header={header} />
                </Th>
              )),
            )}
          </tr>
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id} className="hover:bg-sunken/60 has-checked:bg-brand-soft/60">
              <Td className="w-10 pr-0">
                <input
                  type="checkbox"
                  aria-label={`Select ${keyLabel(row.original)} of ${row.original.developer_name}`}
                  className="size-4 align-middle accent-brand"
                  checked={rowSelection[row.id] === true}
                  onChange={() => {
                    const { [row.id]: was, ...rest } = rowSelection;
                    setSelection(was ? rest : { ...rest, [row.id]: true });
                  }}
                />
              </Td>
              {row.getVisibleCells().map((cell) => (
                <Td key={cell.id} className={onlyWide(cell.column.id)}>
                  <table.FlexRender cell={cell} />
                </Td>
              ))}
            </tr>
          ))}
        </tbody>
      </Table>
    </>
  );
}
