import type { z } from "zod";
import type { LimitSheets } from "../limits.ts";

/** One setting of a vendor, for the configuration form, the documentation and `extra_config`. */
export interface VendorSetting {
  label: string;
  help: string;
  required: boolean;
  /** Encrypted at rest and never shown again. */
  secret: boolean;
}

/** What everybody (API, worker, dashboard, documentation) may know about a vendor: data, no behaviour. */
export interface VendorContract<Extra extends z.ZodType = z.ZodType> {
  title: string;
  /** What `admin_api_key` is called at this vendor, and where a person finds it. */
  adminKey: { label: string; help: string };
  /** The shape of `extra_config`; strict, everything optional that has a default. */
  extraConfig: Extra;
  settings: Record<string, VendorSetting>;
  /** Environment variables that configure the vendor; `extra` maps the names of `extra_config` to variables. */
  environment: {
    /** Holds the credential itself, or with `isFile` the path of a file that does. */
    adminKey: { variable: string; isFile?: boolean };
    orgId?: string;
    extra: Record<string, string>;
    /** Variables that must be there beside the credential for the vendor to count as configured. */
    required?: readonly string[];
    /** Where the credential may be missing because the machine has an identity of its own: what is needed then. */
    ambient?: readonly string[];
  };
  /** The vendor's rule for the names that we choose there; the source stands in its page under docs/. */
  naming: { maxLength: number; charset: "lower-alnum-dash" };
  /** How many keys that follow one another can work at the same time; left out where the vendor sets no such bound. */
  keysAtOnce?: number;
  /** The longest life of a key in days that the vendor accepts; null where it has no say. */
  expiryDaysMax: number | null;
  /** Models offered in forms; the vendor decides what really exists. */
  suggestedModels: readonly string[];
  limits: LimitSheets;
}
