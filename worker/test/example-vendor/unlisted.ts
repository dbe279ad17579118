import type { VendorId } from "@keygate/shared/contracts/vendors/registry";

/**
 * Acme's name, which the registry does not have: only tests know this vendor. A real adapter writes its name as it
 * stands there. Sound because nothing here looks the name up in a registry.
 */
export const acmeId = "acme" as string as VendorId;
