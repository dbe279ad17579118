import type { KeyView } from "@keygate/shared/contracts/keys";
import { Link } from "@tanstack/react-router";
import { dollars, keyLabel } from "../lib/format.ts";
import { KeyStatusBadge, VendorName } from "./marks.tsx";
import { Table, Td, Th } from "./ui/table.tsx";
import { Time } from "./ui/time.tsx";

/** Keys in short, where a page is about something else. */
export const KeyRows = ({ keys, withDeveloper = false }: { keys: readonly KeyView[]; withDeveloper?: boolean }) => (
  <Table label="Keys">
    <thead>
      <tr>
        <Th>Key</Th>
        {withDeveloper ? <Th>Developer</Th> : null}
        <Th>Vendor</Th>
        <Th>Status</Th>
        <Th>Budget</Th>
        <Th>Expires</Th>
      </tr>
    </thead>
    <tbody>
      {keys.map((key) => (
        <tr key={key.id} className="hover:bg-sunken/60">
          <Td>
            <Link
              to="/keys/$id"
              params={{ id: key.id }}
              title={key.project_name}
              className="inline-block max-w-48 truncate align-middle font-mono text-[0.8125rem] font-medium hover:underline"
            >
              {keyLabel(key)}
            </Link>
          </Td>
          {withDeveloper ? (
            <Td className="max-w-56 truncate" title={key.developer_name}>
              {key.developer_name}
            </Td>
          ) : null}
          <Td>
            <VendorName vendor={key.vendor} isSimulated={key.simulated} isCompact />
          </Td>
          <Td>
            <KeyStatusBadge status={key.status} />
          </Td>
          <Td className="tabular-nums">{dollars(key.budget_limit_usd)}</Td>
          <Td>{key.expires_at ? <Time at={key.expires_at} /> : "never"}</Td>
        </tr>
      ))}
    </tbody>
  </Table>
);
