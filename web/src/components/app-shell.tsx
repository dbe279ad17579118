import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useRouterState } from "@tanstack/react-router";
import { CircleHelp, Eye, LogOut, Menu as MenuIcon, Moon, Search, ShieldAlert, Sun, SunMoon, X } from "lucide-react";
import { lazy, type ReactNode, Suspense, useCallback, useState } from "react";
import { meQuery, signOut } from "../data/auth.ts";
import { statsQuery } from "../data/overview.ts";
import { cn } from "../lib/cn.ts";
import { setTheme, themes, useTheme } from "../lib/theme.ts";
import { toastProblem } from "../lib/toasts.ts";
import { ChangeButton, useWhyNotChange } from "./change.tsx";
import { navigation, shortcuts } from "./navigation.ts";
import { QueuesLink } from "./queues-link.tsx";
import { useShortcuts } from "./shortcuts.ts";
import { Button } from "./ui/button.tsx";
import { Dialog } from "./ui/dialog.tsx";
import { Toaster } from "./ui/toaster.tsx";

const loadPalette = () => import("./palette.tsx");
const Palette = lazy(() => loadPalette().then((module) => ({ default: module.Palette })));
// Fetched when there is nothing else to do, so that no letter typed after the shortcut is lost. Safari has no idle time.
if ("requestIdleCallback" in globalThis) requestIdleCallback(() => void loadPalette().catch(() => {}));
else setTimeout(() => void loadPalette().catch(() => {}), 2_000);

const themeIcons = { system: SunMoon, light: Sun, dark: Moon } as const;

export interface AppShellProps {
  children: ReactNode;
  sessionDialog: ReactNode;
  renderLeak(isOpen: boolean, close: () => void): ReactNode;
}

/** Navigation beside the page; under a button on narrow screens. */
export function AppShell({ children, sessionDialog, renderLeak }: AppShellProps) {
  const [open, setOpen] = useState<"palette" | "help" | "leak" | "nav" | null>(null);
  const whyNot = useWhyNotChange();
  const close = useCallback(() => setOpen(null), []);
  useShortcuts({
    onPalette: useCallback(() => setOpen("palette"), []),
    onHelp: useCallback(() => setOpen("help"), []),
  });

  const side = (
    <Side
      onPalette={() => setOpen("palette")}
      onLeak={() => setOpen("leak")}
      onHelp={() => setOpen("help")}
      onGo={close}
    />
  );
  return (
    <div className="min-h-dvh lg:pl-60">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-raised focus:p-2"
      >
        Skip to the page
      </a>
      <aside className="fixed inset-y-0 left-0 hidden w-60 overflow-y-auto border-r border-line bg-surface lg:block">
        {side}
      </aside>
      <header className="sticky top-0 z-30 flex h-13 items-center justify-between border-b border-line bg-surface px-3 lg:hidden">
        <Button
          variant="ghost"
          size="icon"
          aria-label="Open the menu"
          aria-expanded={open === "nav"}
          onClick={() => setOpen("nav")}
        >
          <MenuIcon aria-hidden />
        </Button>
        <Brand />
        <Button variant="ghost" size="icon" aria-label="Go to or do" onClick={() => setOpen("palette")}>
          <Search aria-hidden />
        </Button>
      </header>
      {open === "nav" ? (
        <div className="fixed inset-0 z-40 lg:hidden">
          <button type="button" aria-label="Close the menu" className="absolute inset-0 bg-shade" onClick={close} />
          <aside className="absolute inset-y-0 left-0 w-72 max-w-[85vw] overflow-y-auto bg-surface shadow-2xl">
            <Button
              variant="ghost"
              size="icon"
              aria-label="Close the menu"
              className="absolute top-2.5 right-2"
              onClick={close}
              autoFocus
            >
              <X aria-hidden />
            </Button>
            {side}
          </aside>
        </div>
      ) : null}
      <main id="main" tabIndex={-1} className="outline-none">
        {whyNot ? (
          <p
            role="note"
            className="flex items-center gap-2 border-b border-line bg-info-soft px-4 py-2 text-ink-2 sm:px-8"
          >
            <Eye aria-hidden className="size-4 shrink-0 text-info" /> {whyNot}
          </p>
        ) : null}
        {children}
      </main>
      {open === "palette" ? (
        <Suspense>
          <Palette isOpen onClose={close} onLeak={() => setTimeout(() => setOpen("leak"))} />
        </Suspense>
      ) : null}
      <Help isOpen={open === "help"} onClose={close} />
      {renderLeak(open === "leak", close)}
      {sessionDialog}
      <Toaster />
    </div>
  );
}

const Brand = () => (
  <span className="flex items-center gap-2 font-semibold tracking-tight">
    <img src="/icon.svg" alt="" className="size-6" /> KeyGate
  </span>
);

function Side({
  onPalette,
  onLeak,
  onHelp,
  onGo,
}: {
  onPalette(): void;
  onLeak(): void;
  onHelp(): void;
  onGo(): void;
}) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const waiting = useQuery({ ...statsQuery, select: (stats) => stats.jobs_waiting_for_a_person });
  const isHere = (to: string) => (to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`));
  return (
    <div className="flex min-h-full flex-col gap-4 p-3">
      <div className="flex h-8 items-center px-2">
        <Brand />
      </div>
      <button
        type="button"
        onClick={onPalette}
        className="flex h-9 items-center gap-2 rounded-md border border-line bg-sunken px-2.5 text-ink-3 hover:border-line-strong"
      >
        <Search aria-hidden className="size-4" /> Go to or do
        <kbd className="ml-auto rounded border border-line bg-surface px-1 text-[0.6875rem]">⌘K</kbd>
      </button>
      <nav aria-label="Main">
        <ul className="flex flex-col gap-0.5">
          {navigation.map(({ to, title, icon: Icon }) => (
            <li key={to}>
              <Link
                to={to}
                onClick={onGo}
                aria-current={isHere(to) ? "page" : undefined}
                className={cn(
                  "flex h-9 items-center gap-2.5 rounded-md px-2.5 font-medium text-ink-2 hover:bg-sunken hover:text-ink",
                  isHere(to) && "bg-brand-soft text-brand-strong hover:bg-brand-soft hover:text-brand-strong",
                )}
              >
                <Icon aria-hidden className="size-4" /> {title}
                {to === "/jobs" && waiting.data ? (
                  <span
                    className="ml-auto rounded-full bg-warn-soft px-1.5 text-xs text-warn"
                    title="Jobs that wait for a person"
                  >
                    {waiting.data}
                    <span className="sr-only"> wait for a person</span>
                  </span>
                ) : null}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="mt-auto flex flex-col gap-3">
        <ChangeButton variant="danger" onClick={onLeak}>
          <ShieldAlert aria-hidden /> A key has leaked
        </ChangeButton>
        <Account onHelp={onHelp} />
      </div>
    </div>
  );
}

function Account({ onHelp }: { onHelp(): void }) {
  const me = useQuery(meQuery);
  const client = useQueryClient();
  const theme = useTheme();
  const ThemeIcon = themeIcons[theme];
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "system";
  const leave = async () => {
    try {
      await signOut();
      client.clear();
      location.assign("/sign-in");
    } catch (error) {
      toastProblem(error);
    }
  };
  return (
    <div className="border-t border-line pt-3">
      <p className="truncate px-2 text-[0.8125rem] text-ink-2" title={me.data?.email}>
        {me.data?.email}
      </p>
      <div className="mt-1 flex gap-1">
        <Button
          variant="ghost"
          size="icon"
          aria-label={`Colours: ${theme}. Switch to ${next}`}
          title={`Colours: ${theme}`}
          onClick={() => setTheme(next)}
        >
          <ThemeIcon aria-hidden />
        </Button>
        <Button
          variant="ghost"
          size="icon"
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
          onClick={onHelp}
        >
          <CircleHelp aria-hidden />
        </Button>
        <Button variant="ghost" size="icon" aria-label="Sign out" title="Sign out" onClick={leave}>
          <LogOut aria-hidden />
        </Button>
      </div>
    </div>
  );
}

const Help = ({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) => (
  <Dialog
    isOpen={isOpen}
    onClose={onClose}
    title="Keyboard"
    description="Everything here can be reached without a mouse."
  >
    <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-2">
      {shortcuts.map(([keys, what]) => (
        <div key={keys} className="contents">
          <dt>
            <kbd className="rounded border border-line bg-sunken px-1.5 py-0.5 text-xs">{keys}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
    <p className="mt-4 text-ink-3">
      The API behind this page:{" "}
      <a className="underline" href="/docs">
        explorer
      </a>
      ,{" "}
      <a className="underline" href="/redoc">
        reference
      </a>
      , <QueuesLink className="underline">queues</QueuesLink>.
    </p>
  </Dialog>
);
