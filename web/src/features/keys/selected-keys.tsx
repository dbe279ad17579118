import type { JobId } from "@keygate/shared/contracts/ids";
import type { KeyView } from "@keygate/shared/contracts/keys";
import { useState } from "react";
import { ChangeButton } from "../../components/change.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Button } from "../../components/ui/button.tsx";
import { revokeMany } from "../../data/keys.ts";
import { queryClient } from "../../data/query-client.ts";
import { plural } from "../../lib/format.ts";
import { whyNotRevoke, whyNotRotate } from "./key-actions.tsx";

/** What can be done with several keys at once. Their batch's page shows the progress and a result for each. */
export function SelectedKeys({
  keys,
  onClear,
  onRotate,
  onBatch,
}: {
  keys: KeyView[];
  onClear(): void;
  onRotate(keys: KeyView[]): void;
  onBatch(jobId: JobId): void;
}) {
  const [asks, setAsks] = useState(false);
  const [attempt, setAttempt] = useState(() => crypto.randomUUID());
  const live = keys.filter((key) => whyNotRevoke(key) === null);
  const rotatable = keys.filter((key) => whyNotRotate(key) === null);
  const owners = [...new Set(live.map((key) => key.developer_name))];
  return (
    <>
      <span className="font-medium">{keys.length} selected</span>
      <ChangeButton
        size="sm"
        reason={rotatable.length === 0 ? "None of them is active" : null}
        onClick={() => onRotate(rotatable)}
      >
        Rotate {rotatable.length === keys.length ? "" : `${rotatable.length} active`}
      </ChangeButton>
      <ChangeButton
        size="sm"
        variant="danger"
        reason={live.length === 0 ? "None of them is alive" : null}
        onClick={() => {
          // A new intent: the same one keeps its Idempotency-Key through every try.
          setAttempt(crypto.randomUUID());
          setAsks(true);
        }}
      >
        Revoke {live.length === keys.length ? "" : `${live.length} live`}
      </ChangeButton>
      <Button size="sm" variant="ghost" onClick={onClear}>
        Clear
      </Button>
      <Confirm
        isOpen={asks}
        onClose={() => setAsks(false)}
        title={`Revoke ${plural(live.length, "key")}?`}
        deed={`Revoke ${plural(live.length, "key")}`}
        typed={live.length > 1 ? `revoke ${live.length}` : undefined}
        run={async () => {
          const batch = await revokeMany({ key_ids: live.map(({ id }) => id) }, attempt);
          void queryClient.invalidateQueries({ queryKey: ["keys"] });
          onBatch(batch.job_id);
        }}
      >
        <p>
          Of {owners.slice(0, 5).join(", ")}
          {owners.length > 5 ? ` and ${owners.length - 5} more` : ""}. They stop working at their vendors, ahead of
          everything else. It cannot be undone.
        </p>
      </Confirm>
    </>
  );
}
