import { type ComponentProps, Fragment, type ReactNode } from "react";
import { cn } from "../lib/cn.ts";
import type { Form } from "../lib/form.ts";
import { ChangeButton, useWhyNotChange } from "./change.tsx";
import { Button, type ButtonProps } from "./ui/button.tsx";
import { DialogFoot } from "./ui/dialog.tsx";
import { Field, type FieldProps, Input, Textarea } from "./ui/field.tsx";
import { ProblemNotice } from "./ui/notice.tsx";

/** Nobody fills in what they may not send. */
const ChangeFields = ({ children }: { children: ReactNode }) => (
  <fieldset className="contents" disabled={useWhyNotChange() !== null}>
    {children}
  </fieldset>
);

export interface FormShellProps {
  form: { submit(): Promise<void>; problem: unknown; isBusy: boolean };
  /** What the button says: the deed, not "OK". */
  deed: string;
  variant?: ButtonProps["variant"];
  reason?: ButtonProps["reason"];
  /** In a dialog: closes it without the deed. */
  onCancel?(): void;
  /** One's own affair, as one's password is: auditors may do it too. */
  isForAnybody?: boolean;
  /** The button is as wide as the fields. */
  isWide?: boolean;
  className?: string;
  children: ReactNode;
}

/** Fields, what went wrong with the whole of them, and the deed; beside a way out where the form is a dialog's. */
export function FormShell(props: FormShellProps) {
  const {
    form,
    deed,
    variant = "primary",
    reason,
    onCancel,
    isForAnybody = false,
    isWide = false,
    className,
    children,
  } = props;
  const Submit = isForAnybody ? Button : ChangeButton;
  const Fields = isForAnybody ? Fragment : ChangeFields;
  const submit = (
    <Submit
      type="submit"
      variant={variant}
      reason={reason}
      isBusy={form.isBusy}
      className={onCancel || isWide ? "" : "self-start"}
    >
      {deed}
    </Submit>
  );
  return (
    <form
      noValidate
      className={cn("flex flex-col gap-4", className)}
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
      <Fields>{children}</Fields>
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      {onCancel ? (
        <DialogFoot>
          <Button variant="ghost" onClick={onCancel}>
            Cancel
          </Button>
          {submit}
        </DialogFoot>
      ) : (
        submit
      )}
    </form>
  );
}

type TextFieldProps<V extends Record<string, unknown>> = Omit<FieldProps, "children" | "className"> &
  Omit<ComponentProps<typeof Input>, "form" | "name"> & {
    form: Form<V>;
    name: keyof V & string;
    /** So many lines instead of one. */
    rows?: number;
  };

/** Text that a form holds. `error` where the contract's own words would help nobody. */
export function TextField<V extends Record<string, unknown>>(props: TextFieldProps<V>) {
  const { form, name, label, help, optional, rows, className, error = form.errors[name], ...rest } = props;
  const value = String(form.values[name] ?? "");
  const change = ({ target }: { target: { value: string } }) => form.set(name, target.value as V[typeof name]);
  const { autoComplete = "off", autoFocus, spellCheck } = rest;
  const long = { rows, autoComplete, autoFocus, spellCheck };
  return (
    <Field label={label} help={help} error={error} {...(optional ? { optional } : {})}>
      {(aria) =>
        rows === undefined ? (
          <Input autoComplete="off" {...rest} {...aria} className={className} value={value} onChange={change} />
        ) : (
          <Textarea {...long} {...aria} className={className} value={value} onChange={change} />
        )
      }
    </Field>
  );
}
