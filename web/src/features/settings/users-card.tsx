import { type Me, userRoles } from "@keygate/shared/contracts/auth";
import type { UserLink, UserView } from "@keygate/shared/contracts/users";
import { useQuery } from "@tanstack/react-query";
import { Ellipsis, Plus } from "lucide-react";
import { useState } from "react";
import { Confirm } from "../../components/confirm.tsx";
import { Badge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Card, CardHead } from "../../components/ui/card.tsx";
import { Dialog } from "../../components/ui/dialog.tsx";
import { Menu, MenuItem, MenuLabel, MenuLine } from "../../components/ui/menu.tsx";
import { ProblemNotice } from "../../components/ui/notice.tsx";
import { SkeletonRows } from "../../components/ui/skeleton.tsx";
import { Table, Td, Th } from "../../components/ui/table.tsx";
import { Time } from "../../components/ui/time.tsx";
import { queryClient } from "../../data/query-client.ts";
import { createUserLink, removeUser, setUserRole, usersQuery } from "../../data/users.ts";
import { useDeed } from "../../lib/deed.ts";
import { words } from "../../lib/format.ts";
import { toast } from "../../lib/toasts.ts";
import { InviteDialog, UserLinkShown } from "./invite-dialog.tsx";

const reread = () => queryClient.invalidateQueries({ queryKey: ["users"] });

/** Who uses KeyGate itself. Everybody sees it; owners change it. */
export function UsersCard({ me }: { me: Me }) {
  const users = useQuery(usersQuery);
  const [isInviting, setInviting] = useState(false);
  const [link, setLink] = useState<UserLink | null>(null);
  const [leaving, setLeaving] = useState<UserView | null>(null);
  const reason = me.role === "owner" ? null : "Only owners manage who uses KeyGate";

  const [makeLink] = useDeed(async (user: UserView) => {
    setLink(await createUserLink(user.id));
    await reread();
  });
  const [changeRole] = useDeed(async (user: UserView, role: UserView["role"]) => {
    await setUserRole(user.id, role);
    toast("good", `${user.email} is ${role} now`);
    await Promise.all([reread(), queryClient.invalidateQueries({ queryKey: ["me"] })]);
  });

  return (
    <Card className="lg:col-span-2">
      <CardHead
        title="Admins"
        note="Who uses KeyGate itself, and as what."
        action={
          <Button reason={reason} onClick={() => setInviting(true)}>
            <Plus aria-hidden /> Invite
          </Button>
        }
      />
      {users.isError ? <ProblemNotice className="m-4" error={users.error} /> : null}
      {users.isPending ? <SkeletonRows /> : null}
      {users.data ? (
        <Table label="Admins">
          <thead>
            <tr>
              <Th>E-mail</Th>
              <Th>Role and state</Th>
              <Th className="max-sm:hidden">Last sign-in</Th>
              <Th>
                <span className="sr-only">Actions</span>
              </Th>
            </tr>
          </thead>
          <tbody>
            {users.data.items.map((user) => (
              <tr key={user.id}>
                <Td className="[overflow-wrap:anywhere] max-sm:min-w-40">
                  {user.email}
                  {user.id === me.id ? <span className="ml-2 inline-block text-ink-3">you</span> : null}
                </Td>
                <Td>
                  <span className="mr-2">{words(user.role)}</span>
                  <Badge tone={user.status === "active" ? "good" : "info"}>{user.status}</Badge>{" "}
                  {user.open_link ? (
                    <span className="text-[0.8125rem] text-ink-3">
                      {user.open_link.purpose === "join" ? "link" : "reset link"} ends{" "}
                      <Time at={user.open_link.expires_at} />
                    </span>
                  ) : null}
                </Td>
                <Td className="max-sm:hidden">
                  {user.last_sign_in_at ? (
                    <Time at={user.last_sign_in_at} />
                  ) : (
                    <span className="text-ink-3">never</span>
                  )}
                </Td>
                <Td className="text-right">
                  {reason ? (
                    <Button variant="ghost" size="icon" reason={reason} aria-label={`Change ${user.email}`}>
                      <Ellipsis aria-hidden />
                    </Button>
                  ) : (
                    <Menu
                      label={`Change ${user.email}`}
                      trigger={
                        <Button variant="ghost" size="icon" aria-label={`Change ${user.email}`}>
                          <Ellipsis aria-hidden />
                        </Button>
                      }
                    >
                      <MenuLabel>Role</MenuLabel>
                      {userRoles.map((role) => (
                        <MenuItem key={role} disabled={role === user.role} onSelect={() => changeRole(user, role)}>
                          {words(role)}
                        </MenuItem>
                      ))}
                      <MenuLine />
                      <MenuItem onSelect={() => makeLink(user)}>
                        {user.status === "invited" ? "New invitation link" : "Password reset link"}
                      </MenuItem>
                      <MenuItem isDangerous onSelect={() => setLeaving(user)}>
                        Remove
                      </MenuItem>
                    </Menu>
                  )}
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
      <InviteDialog isOpen={isInviting} onClose={() => setInviting(false)} />
      <Dialog isOpen={link !== null} onClose={() => setLink(null)} title="A new link" isModalOnly>
        {link ? <UserLinkShown link={link} onClose={() => setLink(null)} /> : null}
      </Dialog>
      <RemoveUser user={leaving} isMe={leaving?.id === me.id} onClose={() => setLeaving(null)} />
    </Card>
  );
}

function RemoveUser({ user, isMe, onClose }: { user: UserView | null; isMe: boolean; onClose(): void }) {
  const [keepTokens, setKeepTokens] = useState(false);
  return (
    <Confirm
      isOpen={user !== null}
      onClose={onClose}
      title={`Remove ${user?.email ?? ""}`}
      deed="Remove"
      run={async () => {
        if (!user) return;
        await removeUser(user.id, keepTokens);
        toast("good", `${user.email} is removed`);
        // Whoever removed themselves is signed out by the next look.
        await Promise.all([
          reread(),
          ...["tokens", "me"].map((name) => queryClient.invalidateQueries({ queryKey: [name] })),
        ]);
      }}
    >
      <p>
        Sessions, links and access tokens of {isMe ? "yours" : "theirs"} end at once. The audit log keeps what was done.
      </p>
      <label className="flex items-start gap-2">
        <input
          type="checkbox"
          className="mt-1"
          checked={keepTokens}
          onChange={(event) => setKeepTokens(event.target.checked)}
        />
        <span>Leave the service tokens that they made working, although they have seen them</span>
      </label>
    </Confirm>
  );
}
