/** Where ARM's resources are, and in which versions of its API. */

export const SUBSCRIPTION_PATH = "/subscriptions/{subscription}";
export const GROUP = `${SUBSCRIPTION_PATH}/resourceGroups/{group}`;
export const PROVIDER_PATH = `${SUBSCRIPTION_PATH}/providers/Microsoft.CognitiveServices`;
export const GROUP_PATH = `${GROUP}/providers/Microsoft.CognitiveServices`;
export const ACCOUNT_PATH = `${GROUP_PATH}/accounts/{account}`;
export const DEPLOYMENT_PATH = `${ACCOUNT_PATH}/deployments/{deployment}`;
export const LOCATION_PATH = `${PROVIDER_PATH}/locations/{location}`;

export const COGNITIVE_VERSIONS = [
  "2023-05-01",
  "2024-10-01",
  "2025-06-01",
  "2025-09-01",
  "2025-12-01",
  "2026-03-01",
  "2026-05-01",
  "2026-07-01",
  "2026-09-01",
  "2026-09-15-preview",
] as const;
/** Pausing a deployment came with this one. */
export const PAUSE_SINCE = "2025-12-01";

export const RESOURCE_VERSIONS = ["2021-04-01", "2022-09-01", "2024-03-01", "2025-04-01"] as const;
export const PERMISSION_VERSIONS = ["2018-07-01", "2022-04-01"] as const;
export const LOCK_VERSIONS = ["2016-09-01", "2020-05-01"] as const;
