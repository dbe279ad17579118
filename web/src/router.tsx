import { DeveloperId, JobId, KeyId, WorkspaceId } from "@keygate/shared/contracts/ids";
import { VendorId } from "@keygate/shared/contracts/vendors/registry";
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  notFound,
  redirect,
} from "@tanstack/react-router";
import { z } from "zod";
import { AuditSearch } from "./data/audit.ts";
import { meQuery } from "./data/auth.ts";
import { DebtSearch } from "./data/debt.ts";
import { DeveloperSearch } from "./data/developers.ts";
import { JobSearch } from "./data/jobs.ts";
import { KeySearch } from "./data/keys.ts";
import { queryClient } from "./data/query-client.ts";
import { FindingSearch } from "./data/reconcile.ts";
import { asProblem } from "./lib/problem.ts";
import { Failed, NotFound, Pending } from "./routes/states.tsx";

const root = createRootRoute({ notFoundComponent: NotFound, errorComponent: Failed });

/** A parameter that is an id of its kind, or a page that does not exist. */
const parsed = <S extends z.ZodType>(schema: S, value: string): z.output<S> => {
  const result = schema.safeParse(value);
  if (!result.success) throw notFound();
  return result.data;
};

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: z.object({ to: z.string().startsWith("/").optional().catch(undefined) }),
  component: lazyRouteComponent(() => import("./routes/sign-in.tsx"), "SignInPage"),
});

const claim = createRoute({
  getParentRoute: () => root,
  path: "/claim/$id",
  params: { parse: ({ id }) => ({ id: parsed(JobId, id) }), stringify: ({ id }) => ({ id }) },
  component: lazyRouteComponent(() => import("./routes/claim.tsx"), "ClaimPage"),
});

const welcome = createRoute({
  getParentRoute: () => root,
  path: "/welcome",
  component: lazyRouteComponent(() => import("./routes/welcome.tsx"), "WelcomePage"),
});

const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  async beforeLoad({ location }) {
    try {
      await queryClient.ensureQueryData(meQuery);
    } catch (error) {
      if (asProblem(error).status !== 401) throw error;
      throw redirect({ to: "/sign-in", search: location.href === "/" ? {} : { to: location.href } });
    }
  },
  component: lazyRouteComponent(() => import("./routes/app.tsx"), "AppLayout"),
});

const page = { getParentRoute: () => app } as const;
const overview = createRoute({
  ...page,
  path: "/",
  component: lazyRouteComponent(() => import("./routes/overview.tsx"), "OverviewPage"),
});
const keys = createRoute({
  ...page,
  path: "/keys",
  validateSearch: KeySearch,
  component: lazyRouteComponent(() => import("./routes/keys.tsx"), "KeysPage"),
});
const newKey = createRoute({
  ...page,
  path: "/keys/new",
  validateSearch: z.object({
    developer: DeveloperId.optional().catch(undefined),
    vendor: VendorId.optional().catch(undefined),
    workspace: WorkspaceId.optional().catch(undefined),
  }),
  component: lazyRouteComponent(() => import("./routes/new-key.tsx"), "NewKeyPage"),
});
const key = createRoute({
  ...page,
  path: "/keys/$id",
  validateSearch: z.object({ asks: z.enum(["rotate", "revoke"]).optional().catch(undefined) }),
  params: { parse: ({ id }) => ({ id: parsed(KeyId, id) }), stringify: ({ id }) => ({ id }) },
  component: lazyRouteComponent(() => import("./routes/key.tsx"), "KeyPage"),
});
const handover = createRoute({
  ...page,
  path: "/handover/$id",
  validateSearch: z.object({ by: z.enum(["page", "link"]).default("page").catch("page") }),
  params: { parse: ({ id }) => ({ id: parsed(JobId, id) }), stringify: ({ id }) => ({ id }) },
  component: lazyRouteComponent(() => import("./routes/handover.tsx"), "HandoverPage"),
});
const developers = createRoute({
  ...page,
  path: "/developers",
  validateSearch: DeveloperSearch.extend({ dialog: z.enum(["register", "import"]).optional().catch(undefined) }),
  component: lazyRouteComponent(() => import("./routes/developers.tsx"), "DevelopersPage"),
});
const developer = createRoute({
  ...page,
  path: "/developers/$id",
  params: { parse: ({ id }) => ({ id: parsed(DeveloperId, id) }), stringify: ({ id }) => ({ id }) },
  component: lazyRouteComponent(() => import("./routes/developer.tsx"), "DeveloperPage"),
});
const workspaces = createRoute({
  ...page,
  path: "/workspaces",
  validateSearch: z.object({ archived: z.boolean().optional().catch(undefined) }),
  component: lazyRouteComponent(() => import("./routes/workspaces.tsx"), "WorkspacesPage"),
});
const workspace = createRoute({
  ...page,
  path: "/workspaces/$id",
  params: { parse: ({ id }) => ({ id: parsed(WorkspaceId, id) }), stringify: ({ id }) => ({ id }) },
  component: lazyRouteComponent(() => import("./routes/workspace.tsx"), "WorkspacePage"),
});
const vendors = createRoute({
  ...page,
  path: "/vendors",
  component: lazyRouteComponent(() => import("./routes/vendors.tsx"), "VendorsPage"),
});
const vendor = createRoute({
  ...page,
  path: "/vendors/$vendor",
  params: { parse: ({ vendor }) => ({ vendor: parsed(VendorId, vendor) }), stringify: ({ vendor }) => ({ vendor }) },
  component: lazyRouteComponent(() => import("./routes/vendor.tsx"), "VendorPage"),
});
const jobs = createRoute({
  ...page,
  path: "/jobs",
  validateSearch: JobSearch,
  component: lazyRouteComponent(() => import("./routes/jobs.tsx"), "JobsPage"),
});
const job = createRoute({
  ...page,
  path: "/jobs/$id",
  params: { parse: ({ id }) => ({ id: parsed(JobId, id) }), stringify: ({ id }) => ({ id }) },
  component: lazyRouteComponent(() => import("./routes/job.tsx"), "JobPage"),
});
const reconcile = createRoute({
  ...page,
  path: "/reconcile",
  validateSearch: FindingSearch,
  component: lazyRouteComponent(() => import("./routes/reconcile.tsx"), "ReconcilePage"),
});
const debt = createRoute({
  ...page,
  path: "/debt",
  validateSearch: DebtSearch,
  component: lazyRouteComponent(() => import("./routes/debt.tsx"), "DebtPage"),
});
const audit = createRoute({
  ...page,
  path: "/audit",
  validateSearch: AuditSearch,
  component: lazyRouteComponent(() => import("./routes/audit.tsx"), "AuditPage"),
});
const settings = createRoute({
  ...page,
  path: "/settings",
  component: lazyRouteComponent(() => import("./routes/settings.tsx"), "SettingsPage"),
});

const pages = [
  overview,
  keys,
  newKey,
  key,
  handover,
  developers,
  developer,
  workspaces,
  workspace,
  vendors,
  vendor,
  jobs,
  job,
  reconcile,
  debt,
  audit,
  settings,
] as const;

export const router = createRouter({
  routeTree: root.addChildren([signIn, claim, welcome, app.addChildren(pages)]),
  defaultPreload: "intent",
  defaultPendingComponent: Pending,
  defaultErrorComponent: Failed,
  defaultNotFoundComponent: NotFound,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
