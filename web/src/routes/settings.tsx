import { ChangePassword } from "@keygate/shared/contracts/auth";
import { useQuery } from "@tanstack/react-query";
import { Fact, Facts, Page } from "../components/page.tsx";
import { Button } from "../components/ui/button.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Field, Input, Select } from "../components/ui/field.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { Time } from "../components/ui/time.tsx";
import { changePassword, healthQuery, meQuery } from "../data/auth.ts";
import { useForm } from "../lib/form.ts";
import { words } from "../lib/format.ts";
import { setTheme, themes, useTheme } from "../lib/theme.ts";
import { toast } from "../lib/toasts.ts";

export function SettingsPage() {
  const me = useQuery(meQuery);
  const health = useQuery(healthQuery);
  const theme = useTheme();
  return (
    <Page title="Settings">
      <div className="grid items-start gap-5 lg:grid-cols-2">
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
              <a className="underline" href="/queues">
                bull-board
              </a>
            </Fact>
          </Facts>
        </Card>
      </div>
    </Page>
  );
}

function PasswordForm() {
  const form = useForm({
    initial: { current_password: "", new_password: "" },
    schema: ChangePassword,
    toBody: (values) => values,
    async run(body) {
      await changePassword(body);
      form.set("current_password", "");
      form.set("new_password", "");
      toast("good", "Your password is changed");
    },
  });
  return (
    <form
      noValidate
      className="flex flex-col gap-4 p-4"
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
      <Field label="Current password" error={form.errors.current_password ? "Needed" : undefined}>
        {(aria) => (
          <Input
            {...aria}
            type="password"
            autoComplete="current-password"
            value={form.values.current_password}
            onChange={(event) => form.set("current_password", event.target.value)}
          />
        )}
      </Field>
      <Field label="New password" help="12 characters or more" error={form.errors.new_password}>
        {(aria) => (
          <Input
            {...aria}
            type="password"
            autoComplete="new-password"
            value={form.values.new_password}
            onChange={(event) => form.set("new_password", event.target.value)}
          />
        )}
      </Field>
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      <Button type="submit" variant="primary" className="self-start" isBusy={form.isBusy}>
        Change it
      </Button>
    </form>
  );
}
