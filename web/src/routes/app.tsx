import { Outlet } from "@tanstack/react-router";
import { AppShell } from "../components/app-shell.tsx";
import { LeakDialog } from "../features/keys/leak-dialog.tsx";
import { SessionDialog } from "../features/session/session-dialog.tsx";

export const AppLayout = () => (
  <AppShell
    sessionDialog={<SessionDialog />}
    renderLeak={(isOpen, close) => <LeakDialog isOpen={isOpen} onClose={close} />}
  >
    <Outlet />
  </AppShell>
);
