import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import {
  CalendarClock,
  FileUp,
  Hand,
  KeyRound,
  LogIn,
  Plus,
  RotateCw,
  Search,
  ShieldAlert,
  SunMoon,
  Trash2,
  User,
} from "lucide-react";
import { type ReactNode, useDeferredValue, useState } from "react";
import { searchQuery } from "../data/overview.ts";
import { keyLabel } from "../lib/format.ts";
import { setTheme, themes } from "../lib/theme.ts";
import { useWhyNotChange } from "./change.tsx";
import { KeyStatusBadge, VendorName } from "./marks.tsx";
import { navigation } from "./navigation.ts";
import { Dialog } from "./ui/dialog.tsx";

const itemClass =
  "flex cursor-default items-center gap-2.5 rounded-md px-2.5 py-2 select-none data-[selected=true]:bg-sunken [&_svg]:size-4 [&_svg]:shrink-0 [&_svg]:text-ink-3";

function Item({ value, onSelect, children }: { value: string; onSelect(): void; children: ReactNode }) {
  return (
    <Command.Item value={value} onSelect={onSelect} className={itemClass}>
      {children}
    </Command.Item>
  );
}

/** Everything by name: pages, deeds, developers, keys. */
export function Palette({ isOpen, onClose, onLeak }: { isOpen: boolean; onClose(): void; onLeak(): void }) {
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title="Go to or do" className="max-w-xl self-start sm:mt-[10vh]">
      <PaletteBody onClose={onClose} onLeak={onLeak} />
    </Dialog>
  );
}

/** What can be asked for a key from here; its page asks back before anything happens. */
const keyDeeds = [
  { asks: "rotate", title: "Rotate", icon: RotateCw },
  { asks: "revoke", title: "Revoke", icon: Trash2 },
] as const;

/** "revoke ada" and "provision for ada": what is to be done, and to whom. */
function sentenceIn(text: string): { verb: "rotate" | "revoke" | "provision" | null; rest: string } {
  const said = /^(rotate|revoke|provision|new key)(?:\s+(?:for|of))?\s+(.*)$/i.exec(text.trim());
  if (!said?.[1] || said[2] === undefined) return { verb: null, rest: text.trim() };
  const verb = said[1].toLowerCase();
  return { verb: verb === "rotate" || verb === "revoke" ? verb : "provision", rest: said[2] };
}

function PaletteBody({ onClose, onLeak }: { onClose(): void; onLeak(): void }) {
  const [text, setText] = useState("");
  const whyNot = useWhyNotChange();
  const { verb, rest } = whyNot ? { verb: null, rest: text.trim() } : sentenceIn(text);
  const q = useDeferredValue(rest);
  const found = useQuery(searchQuery(q, 6));
  const navigate = useNavigate();
  const data = q.length >= 2 ? found.data : undefined;
  const results = data && {
    developers: verb === "rotate" || verb === "revoke" ? [] : data.developers,
    keys: verb === "provision" ? [] : data.keys,
  };
  const matches = (title: string) => title.toLowerCase().includes(text.trim().toLowerCase());
  const go = (run: () => unknown) => () => {
    onClose();
    run();
  };
  const changes = [
    { title: "New key", icon: Plus, run: () => navigate({ to: "/keys/new" }) },
    {
      title: "Register a developer",
      icon: LogIn,
      run: () => navigate({ to: "/developers", search: { dialog: "register" } }),
    },
    {
      title: "Import developers from CSV",
      icon: FileUp,
      run: () => navigate({ to: "/developers", search: { dialog: "import" } }),
    },
    { title: "A key has leaked …", icon: ShieldAlert, run: onLeak },
  ];
  const deeds = [
    // What would be refused is not offered.
    ...(whyNot ? [] : changes),
    {
      title: "Keys that end within a week",
      icon: CalendarClock,
      run: () => navigate({ to: "/keys", search: { status: "all", expires_within_days: 7 } }),
    },
    {
      title: "Jobs that wait for a person",
      icon: Hand,
      run: () => navigate({ to: "/jobs", search: { status: "waiting_for_input" } }),
    },
    ...themes.map((theme) => ({ title: `Colours: ${theme}`, icon: SunMoon, run: () => setTheme(theme) })),
  ].filter((deed) => matches(deed.title));
  const pages = navigation.filter((page) => matches(page.title));
  // Whatever comes first is chosen, also when it came later than the letters it was looked up by.
  const developer = verb ? results?.developers.find((each) => each.is_active) : results?.developers[0];
  const key = verb ? results?.keys.find((each) => each.status === "active") : results?.keys[0];
  const first =
    (developer && (verb ? `new-${developer.id}` : developer.id)) ??
    (key && (verb ? `${verb}-${key.id}` : key.id)) ??
    deeds[0]?.title ??
    pages[0]?.to ??
    "";
  const [chosen, setChosen] = useState({ among: "", value: "" });
  const among = `${text}:${first}`;
  const value = chosen.among === among ? chosen.value : first;
  const heading =
    "[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-ink-3";

  return (
    <Command
      label="Commands"
      shouldFilter={false}
      loop
      value={value}
      onValueChange={(next) => setChosen({ among, value: next })}
    >
      <div className="flex items-center gap-2 rounded-md border border-line-strong/70 bg-surface px-3">
        <Search aria-hidden className="size-4 text-ink-3" />
        <Command.Input
          value={text}
          onValueChange={setText}
          placeholder="A page, a developer, a key; or “rotate ada”, “provision for ada” …"
          className="h-10 w-full bg-transparent outline-none placeholder:text-ink-3"
        />
      </div>
      <Command.List className="mt-2 max-h-[50dvh] overflow-y-auto">
        {pages.length + deeds.length === 0 && !results?.developers.length && !results?.keys.length ? (
          <p className="px-2.5 py-6 text-center text-ink-3">
            {found.isFetching ? "Looking …" : `Nothing is called “${text.trim()}”.`}
          </p>
        ) : null}
        {results?.developers.length ? (
          <Command.Group heading="Developers" className={heading}>
            {results.developers.flatMap((developer) => [
              verb ? null : (
                <Item
                  key={developer.id}
                  value={developer.id}
                  onSelect={go(() => navigate({ to: "/developers/$id", params: { id: developer.id } }))}
                >
                  <User aria-hidden /> {developer.name} <span className="truncate text-ink-3">{developer.email}</span>
                </Item>
              ),
              developer.is_active && !whyNot ? (
                <Item
                  key={`new-${developer.id}`}
                  value={`new-${developer.id}`}
                  onSelect={go(() => navigate({ to: "/keys/new", search: { developer: developer.id } }))}
                >
                  <Plus aria-hidden /> <span className="text-ink-2">New key for {developer.name}</span>
                </Item>
              ) : null,
            ])}
          </Command.Group>
        ) : null}
        {results?.keys.length ? (
          <Command.Group heading="Keys" className={heading}>
            {results.keys.flatMap((key) => [
              verb ? null : (
                <Item
                  key={key.id}
                  value={key.id}
                  onSelect={go(() => navigate({ to: "/keys/$id", params: { id: key.id } }))}
                >
                  <KeyRound aria-hidden />
                  <span className="truncate font-mono text-[0.8125rem]">{keyLabel(key)}</span>
                  <span className="truncate text-ink-3">{key.developer_name}</span>
                  <span className="ml-auto flex items-center gap-2">
                    <span className="hidden sm:inline">
                      <VendorName vendor={key.vendor} />
                    </span>
                    <KeyStatusBadge status={key.status} />
                  </span>
                </Item>
              ),
              ...(key.status === "active" && !whyNot
                ? keyDeeds
                    // Of many keys only what was asked for, so that they stay readable.
                    .filter((deed) => (verb ? deed.asks === verb : results.keys.length <= 2))
                    .map(({ asks, title, icon: Icon }) => (
                      <Item
                        key={`${asks}-${key.id}`}
                        value={`${asks}-${key.id}`}
                        onSelect={go(() => navigate({ to: "/keys/$id", params: { id: key.id }, search: { asks } }))}
                      >
                        <Icon aria-hidden />
                        <span className="truncate text-ink-2">
                          {title} {keyLabel(key)} of {key.developer_name}
                        </span>
                      </Item>
                    ))
                : []),
            ])}
          </Command.Group>
        ) : null}
        {deeds.length ? (
          <Command.Group heading="Do" className={heading}>
            {deeds.map(({ title, icon: Icon, run }) => (
              <Item key={title} value={title} onSelect={go(run)}>
                <Icon aria-hidden /> {title}
              </Item>
            ))}
          </Command.Group>
        ) : null}
        {pages.length ? (
          <Command.Group heading="Go to" className={heading}>
            {pages.map(({ title, to, icon: Icon, key }) => (
              <Item key={to} value={to} onSelect={go(() => navigate({ to }))}>
                <Icon aria-hidden /> {title} <kbd className="ml-auto text-xs text-ink-3">g {key}</kbd>
              </Item>
            ))}
          </Command.Group>
        ) : null}
      </Command.List>
    </Command>
  );
}
