import type { ServiceTokenRow } from "@keygate/shared/db/service-tokens";
import type { UserRow } from "@keygate/shared/db/users";

/** Who asks: a person with a role, or a program with the scopes of its service token. */
export type Principal = { kind: "user"; user: UserRow } | { kind: "token"; token: ServiceTokenRow };
