/** What a project may spend, and whom to tell. All amounts are in cents. */
import { z } from "zod";
import {
  activeProjectOf,
  CursorsQuery,
  type OpenAiCall,
  ok,
  order,
  page,
  projectOf,
  type Route,
  readBody,
  readQuery,
  refusal,
} from "./openai-call.ts";
import {
  listed,
  note,
  opaque,
  type Project,
  type SpendAlert,
  type SpendLimit,
  spentThisMonthCents,
} from "./openai-state.ts";

const PROJECT = "/organization/projects/{project_id}";

const AlertsQuery = CursorsQuery.extend({ order: order.default("asc") });
const Money = { currency: z.literal("USD"), interval: z.literal("month") };
const SpendLimitBody = z.strictObject({ threshold_amount: z.int().min(1), ...Money });
const AlertBody = z.strictObject({
  threshold_amount: z.int().min(0),
  ...Money,
  notification_channel: z.strictObject({
    type: z.literal("email"),
    recipients: z.array(z.email()).min(1),
    subject_prefix: z.string().nullish(),
  }),
});
function noteFor(call: OpenAiCall, type: string, ids: Record<string, string>): void {
  note(call.state, call.nowMs, type, ids);
}

/** The same three calls for a project and for the organization. */
function spendLimitRoutes(
  path: string,
  object: "project.spend_limit" | "organization.spend_limit",
  holderOf: (call: OpenAiCall, change: boolean) => Project | null,
): Route[] {
  const read = (call: OpenAiCall, project: Project | null) =>
    project === null ? call.state.organizationSpendLimit : project.spendLimit;
  const write = (call: OpenAiCall, project: Project | null, limit: SpendLimit | null) => {
    if (project === null) call.state.organizationSpendLimit = limit;
    else project.spendLimit = limit;
    const type = `${project === null ? "organization." : ""}spend_limit.${limit === null ? "deleted" : "set"}`;
    noteFor(call, type, project === null ? {} : { project_id: project.id });
  };
  const absent = () => refusal(404, "No spend limit is configured.");
  const view = (call: OpenAiCall, project: Project | null, limit: SpendLimit) => {
    const spent = spentThisMonthCents(call.state, call.nowMs, project?.id ?? null);
    return { object, ...limit, enforcement: { status: spent >= limit.threshold_amount ? "enforcing" : "inactive" } };
  };
  return [
    [
      "GET",
      path,
      (call) => {
        const project = holderOf(call, false);
        const limit = read(call, project);
        if (limit !== null) return ok(view(call, project, limit));
        if (!call.settings.spend_limit_absent_as_zero) throw absent();
        const nothing = { threshold_amount: 0, currency: "USD", interval: "month" };
        return ok({ object, ...nothing, enforcement: { status: "inactive" } });
      },
    ],
    [
      "POST",
      path,
      (call) => {
        const limit = readBody(call, SpendLimitBody);
        const project = holderOf(call, true);
        write(call, project, limit);
        return ok(view(call, project, limit));
      },
    ],
    [
      "DELETE",
      path,
      (call) => {
        const project = holderOf(call, true);
        if (read(call, project) === null) throw absent();
        write(call, project, null);
        return ok({ object: `${object}.deleted`, deleted: true });
      },
    ],
  ];
}

const viewAlert = (alert: SpendAlert) => ({
  id: alert.id,
  object: "project.spend_alert",
  threshold_amount: alert.threshold_amount,
  currency: alert.currency,
  interval: alert.interval,
  notification_channel: alert.notification_channel,
});

function alertFields(call: OpenAiCall): Omit<SpendAlert, "id" | "seq" | "createdAtMs"> {
  const { notification_channel: channel, ...rest } = readBody(call, AlertBody);
  return { ...rest, notification_channel: { ...channel, subject_prefix: channel.subject_prefix ?? null } };
}

function alertOf(call: OpenAiCall, project: Project): SpendAlert {
  const alert = project.alerts.find(({ id }) => id === call.params.alert_id);
  if (alert === undefined) throw refusal(404, `No spend alert '${call.params.alert_id}' found.`);
  return alert;
}

const alertRoutes: Route[] = [
  [
    "GET",
    `${PROJECT}/spend_alerts`,
    (call) => {
      const query = readQuery(call, AlertsQuery);
      const { alerts } = projectOf(call);
      return page(call, query.order === "asc" ? alerts : alerts.toReversed(), query, () => true, viewAlert);
    },
    "query",
  ],
  [
    "POST",
    `${PROJECT}/spend_alerts`,
    (call) => {
      const fields = alertFields(call);
      const project = activeProjectOf(call);
      const alert = { ...listed(call.state, `alert_${opaque(16)}`, call.nowMs), ...fields };
      project.alerts.push(alert);
      noteFor(call, "spend_alert.created", { project_id: project.id, alert_id: alert.id });
      return ok(viewAlert(alert));
    },
  ],
  ["GET", `${PROJECT}/spend_alerts/{alert_id}`, (call) => ok(viewAlert(alertOf(call, projectOf(call))))],
  [
    "POST",
    `${PROJECT}/spend_alerts/{alert_id}`,
    (call) => {
      const fields = alertFields(call);
      const project = activeProjectOf(call);
      const alert = Object.assign(alertOf(call, project), fields);
      noteFor(call, "spend_alert.updated", { project_id: project.id, alert_id: alert.id });
      return ok(viewAlert(alert));
    },
  ],
  [
    "DELETE",
    `${PROJECT}/spend_alerts/{alert_id}`,
    (call) => {
      const project = activeProjectOf(call);
      const alert = alertOf(call, project);
      project.alerts = project.alerts.filter((one) => one !== alert);
      noteFor(call, "spend_alert.deleted", { project_id: project.id, alert_id: alert.id });
      return ok({ object: "project.spend_alert.deleted", id: alert.id, deleted: true });
    },
  ],
];

export const spendRoutes: Route[] = [
  ...spendLimitRoutes(`${PROJECT}/spend_limit`, "project.spend_limit", (call, change) =>
    change ? activeProjectOf(call) : projectOf(call),
  ),
  ...spendLimitRoutes("/organization/spend_limit", "organization.spend_limit", () => null),
  ...alertRoutes,
];
