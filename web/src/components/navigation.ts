import {
  Boxes,
  FileClock,
  Hourglass,
  KeyRound,
  LayoutDashboard,
  ListChecks,
  Plug,
  Scale,
  Settings,
  Users,
} from "lucide-react";

/** The pages, and the letter that goes to each after `g`. */
export const navigation = [
  { to: "/", title: "Overview", icon: LayoutDashboard, key: "o" },
  { to: "/keys", title: "Keys", icon: KeyRound, key: "k" },
  { to: "/developers", title: "Developers", icon: Users, key: "d" },
  { to: "/workspaces", title: "Workspaces", icon: Boxes, key: "w" },
  { to: "/vendors", title: "Vendors", icon: Plug, key: "v" },
  { to: "/jobs", title: "Jobs", icon: ListChecks, key: "j" },
  { to: "/reconcile", title: "Reconcile", icon: Scale, key: "r" },
  { to: "/debt", title: "Debt", icon: Hourglass, key: "b" },
  { to: "/audit", title: "Audit", icon: FileClock, key: "a" },
  { to: "/settings", title: "Settings", icon: Settings, key: "s" },
] as const;

export const shortcuts = [
  ["⌘ K or Ctrl K", "Go to, do, or find anything"],
  ["n", "New key"],
  ["/", "Search the list on this page"],
  ["?", "This sheet"],
  ...navigation.map(({ key, title }) => [`g then ${key}`, title] as const),
  ["Esc", "Close what is on top"],
] as const;
