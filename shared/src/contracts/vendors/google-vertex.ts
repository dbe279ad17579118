import { z } from "zod";
import type { VendorContract } from "./vendor-contract.ts";

const url = z.url({ protocol: /^https?$/ });

/** Either form of a role that a project policy can bind: predefined, or of the project or organization. */
const role = z.string().regex(/^(roles|projects\/[a-z0-9.:-]+\/roles|organizations\/\d+\/roles)\/[\w.]+$/, {
  message: "Must be like roles/aiplatform.user or projects/my-project/roles/keygateVertexCaller",
});

export const googleVertex = {
  title: "Google Vertex AI",
  adminKey: {
    label: "Service account file (JSON)",
    help: "The whole text of a service account's key file, or of a workload identity configuration (type external_account). The account needs the permissions that the vendor's page in the documentation lists, and no more.",
  },
  extraConfig: z.strictObject({
    project_id: z
      .string()
      .regex(/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/, { message: "Must be a project id (not its number or its name)" })
      .optional(),
    region: z
      .string()
      .regex(/^[a-z][a-z0-9-]{1,30}$/, { message: "Must be a location like europe-west4, or global" })
      .optional(),
    service_account_json: z.union([z.string().min(1), z.record(z.string(), z.unknown())]).optional(),
    role: role.optional(),
    iam_url: url.optional(),
    resource_manager_url: url.optional(),
    token_url: url.optional(),
    vertex_url: url.optional(),
  }),
  settings: {
    project_id: {
      label: "Project id",
      help: "The project in which the service accounts are made. The credential's own project when left out.",
      required: false,
      secret: false,
    },
    region: {
      label: "Location",
      help: "Where developers call Vertex AI, like europe-west4; global when left out.",
      required: false,
      secret: false,
    },
    service_account_json: {
      label: "Service account file (JSON)",
      help: "The same as the admin credential, for those who keep it with the other settings; it goes before it.",
      required: false,
      secret: true,
    },
    role: {
      label: "Role for developers",
      help: "What each service account may do. Left out: the project's own role keygateVertexCaller, which may call models and nothing else and is made at the first provisioning.",
      required: false,
      secret: false,
    },
    iam_url: {
      label: "IAM address",
      help: "Only for a private gateway; https://iam.googleapis.com otherwise. Service Usage and Organization Policy are then reached there too.",
      required: false,
      secret: false,
    },
    resource_manager_url: {
      label: "Resource Manager address",
      help: "Only for a private gateway; https://cloudresourcemanager.googleapis.com otherwise.",
      required: false,
      secret: false,
    },
    token_url: {
      label: "Token address",
      help: "Only for a private gateway; https://oauth2.googleapis.com/token otherwise. Issued files name it too.",
      required: false,
      secret: false,
    },
    vertex_url: {
      label: "Vertex AI address",
      help: "Only for a private gateway that developers call; Google's address of the location otherwise.",
      required: false,
      secret: false,
    },
  },
  environment: {
    adminKey: { variable: "GOOGLE_APPLICATION_CREDENTIALS", isFile: true },
    extra: {
      project_id: "GCP_PROJECT_ID",
      region: "GCP_REGION",
      role: "GCP_DEVELOPER_ROLE",
      iam_url: "GOOGLE_IAM_URL",
      resource_manager_url: "GOOGLE_RESOURCE_MANAGER_URL",
      token_url: "GOOGLE_TOKEN_URL",
      vertex_url: "GOOGLE_VERTEX_URL",
    },
    // Both, since a project id alone stands in many a shell that has nothing to do with KeyGate.
    ambient: ["GCP_PROJECT_ID", "GCP_REGION"],
  },
  // The id of a service account: 6 to 30 characters, a letter first.
  naming: { maxLength: 30, charset: "lower-alnum-dash" },
  expiryDaysMax: null,
  suggestedModels: ["gemini-2.5-flash", "gemini-2.5-pro"],
  limits: {
    budget: {
      enforcedBy: "none",
      delay: "Never.",
      finePrint:
        "Nobody enforces it. Google's budgets send alerts about whole projects, hours to a day late, and its bills do not tell one service account from another. The number is a note between you and the developer.",
    },
    rate_limit: {
      enforcedBy: "none",
      delay: "Never.",
      finePrint:
        "Nobody enforces it. Current Gemini models share one pool without a quota for each project, and older quotas count projects and regions, never service accounts.",
    },
    models: {
      enforcedBy: "none",
      delay: "Never.",
      finePrint:
        "Nobody enforces it for one developer: the key may call every model that the project may call. An organization policy (vertexai.allowedModels) limits the whole project.",
    },
    expiry: {
      enforcedBy: "vendor",
      delay: "None for access, which ends at the second; the key itself may stand a minute longer.",
      finePrint:
        "A condition on the account's role ends access at that time. Where the organization lets keys be uploaded, the key's certificate ends then as well. KeyGate also removes key, grant and account within a minute.",
    },
  },
} as const satisfies VendorContract;
