import { useQuery } from "@tanstack/react-query";
import { Fact, Facts, Page } from "../components/page.tsx";
import { QueuesLink } from "../components/queues-link.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Field, Select } from "../components/ui/field.tsx";
import { Time } from "../components/ui/time.tsx";
import { healthQuery, meQuery } from "../data/auth.ts";
import { PasswordForm } from "../features/settings/password-form.tsx";
import { TokensCard } from "../features/settings/tokens-card.tsx";
import { UsersCard } from "../features/settings/users-card.tsx";
import { words } from "../lib/format.ts";
import { setTheme, themes, useTheme } from "../lib/theme.ts";

export function SettingsPage() {
  const me = useQuery(meQuery);
  const health = useQuery(healthQuery);
  const theme = useTheme();
  return (
    <Page title="Settings">
      <div className="grid grid-cols-1 items-start gap-5 lg:grid-cols-2">
        <Card>
          <CardHead title="You" />
          <Facts>
            <Fact label="E-mail">{me.data?.email}</Fact>
            <Fact label="Role">{me.data?.role}</Fact>
            <Fact label="Since">{me.data ? <Time at={me.data.created_at} as="day" /> : null}</Fact>
          </Facts>
          <div className="border-t border-line p-4">
            <Field label="Colours">
              {(aria) => (
                <Select
                  {...aria}
                  className="max-w-48"
                  value={theme}
                  onChange={(event) => setTheme(themes.find((name) => name === event.target.value) ?? "system")}
                >
                  {themes.map((name) => (
                    <option key={name} value={name}>
                      {words(name)}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
          </div>
        </Card>
        <Card>
          <CardHead title="Password" note="Changing it signs you out everywhere else." />
          <PasswordForm />
        </Card>
        {me.data ? <UsersCard me={me.data} /> : null}
        <TokensCard />
        <Card>
          <CardHead title="About" />
          <Facts>
            <Fact label="KeyGate">{health.data?.version ?? "…"}</Fact>
            <Fact label="API">
              <a className="underline" href="/docs">
                Explorer
              </a>
              ,{" "}
              <a className="underline" href="/redoc">
                reference
              </a>
            </Fact>
            <Fact label="Queues">
              <QueuesLink className="underline">bull-board</QueuesLink>
            </Fact>
          </Facts>
        </Card>
      </div>
    </Page>
  );
}
