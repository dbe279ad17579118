import { createHash } from "node:crypto";
import { Secret } from "@keygate/shared/secret";
import type { VendorFixture } from "../fixtures/fixture.ts";
import { type AcmeBooks, acmeAdminToken, acmeOrgId, startAcme } from "./acme-server.ts";
import { acmeId } from "./unlisted.ts";

/** Acme with what the conformance tests must know to judge its books. */
export const acmeFixture: VendorFixture = {
  id: acmeId,
  async start() {
    const server = await startAcme();
    const books = () => server.books() as AcmeBooks;
    return {
      settings: {
        vendor: acmeId,
        version: 1,
        adminKey: new Secret(acmeAdminToken),
        orgId: acmeOrgId,
        extra: { base_url: `${server.url}/v1` },
        simulated: true,
      },
      servers: [server],
      liveKeys: () => books().keys.map(({ secret_sha256 }) => secret_sha256),
      leftovers: () => books().projects.map(({ title }) => `project ${title}`),
      async use(secret, instructions) {
        const headers = { authorization: `Bearer ${secret.reveal()}` };
        const answer = await fetch(`${instructions.base_url}/whoami`, { headers });
        return answer.status === 200 ? "accepted" : "refused";
      },
      digest: (secret) => createHash("sha256").update(secret.reveal()).digest("hex"),
      close: () => server.close(),
    };
  },
};
