import { X509Certificate } from "node:crypto";
import { googleVertex as contract } from "@keygate/shared/contracts/vendors/google-vertex";
import { newId } from "@keygate/shared/ids";
import { projectNameFor } from "@keygate/shared/naming";
import { describe, expect, it } from "vitest";
import { makeKeyPair, noEnd, selfSignedCertificate } from "../src/vendors/google-vertex/certificate.ts";
import { classifyGoogle } from "../src/vendors/google-vertex/errors.ts";
import { inventory } from "../src/vendors/google-vertex/inventory.ts";

type Looked = Parameters<typeof inventory.driftOf>[0];

describe("a refusal of Google", () => {
  const refuse = (status: number, error: Record<string, unknown> | null, headers: Record<string, string> = {}) =>
    classifyGoogle({
      status,
      headers,
      json: error === null ? undefined : { error: { code: status, message: "words", ...error } },
      call: { method: "POST", endpoint: "iam write" },
    });
  const detail = (type: string, rest: Record<string, unknown>) => ({
    details: [{ "@type": `type.googleapis.com/google.rpc.${type}`, ...rest }],
  });

  it.each([
    ["a missing role", refuse(403, { status: "PERMISSION_DENIED" }), "vendor.refused_us", true],
    ["a bad token", refuse(401, { status: "UNAUTHENTICATED" }), "vendor.refused_us", true],
    [
      "a rate",
      refuse(429, { status: "RESOURCE_EXHAUSTED", ...detail("ErrorInfo", { reason: "RATE_LIMIT_EXCEEDED" }) }),
      "vendor.throttled",
      true,
    ],
    [
      "ten keys",
      refuse(429, { status: "RESOURCE_EXHAUSTED", ...detail("RetryInfo", { retryDelay: "86401s" }) }),
      "vendor.refused",
      true,
    ],
    ["a bad field", refuse(400, { status: "INVALID_ARGUMENT" }), "vendor.refused", true],
    ["a name that is taken", refuse(409, { status: "ALREADY_EXISTS" }), "vendor.refused", true],
    ["a concurrent change", refuse(409, { status: "ABORTED" }), "vendor.unavailable", false],
    ["a stale etag", refuse(412, { status: "FAILED_PRECONDITION" }), "vendor.unavailable", false],
    ["a 404 of Google", refuse(404, { status: "NOT_FOUND", details: [1] }), "vendor.refused", true],
    ["a 404 of something else", refuse(404, null), "vendor.unavailable", false],
    ["a cancelled call", refuse(499, { status: "CANCELLED" }), "vendor.unavailable", false],
    ["an outage", refuse(503, { status: "UNAVAILABLE" }), "vendor.unavailable", false],
    ["a gateway's page", refuse(502, null), "vendor.unavailable", false],
  ])("%s is classified by status, code and details", (_, error, code, nothingHappened) => {
    expect(error).toMatchObject({ code, nothingHappened });
  });

  it("names the API that is not enabled and the organization policy that forbids", () => {
    const info = { reason: "SERVICE_DISABLED", metadata: { service: "iam.googleapis.com" } };
    expect(refuse(403, { status: "PERMISSION_DENIED", ...detail("ErrorInfo", info) }).detail).toContain(
      "Enable the API iam.googleapis.com",
    );
    const violations = [{ type: "constraints/iam.disableServiceAccountKeyCreation", subject: "s" }];
    expect(
      refuse(400, { status: "FAILED_PRECONDITION", ...detail("PreconditionFailure", { violations }) }).detail,
    ).toContain("iam.disableServiceAccountKeyCreation");
  });
});

describe("a certificate", () => {
  const datesIn = (pem: string) =>
    [...new X509Certificate(pem).raw.toString("latin1").matchAll(/\d{12,14}Z/g)].map(([text]) => text);

  it("writes dates as strict readers want them: two digits for the year up to 2049, four from then on", async () => {
    const pair = await makeKeyPair();
    const dates = (notAfter: Date) =>
      datesIn(selfSignedCertificate(pair, { name: "1", notBefore: new Date("2026-11-23T01:02:03.9Z"), notAfter }));
    expect(dates(new Date("2049-12-31T23:59:59Z"))).toEqual(["261123010203Z", "491231235959Z"]);
    expect(dates(new Date("2050-01-01T00:00:00Z"))).toEqual(["261123010203Z", "20500101000000Z"]);
  });

  it("says the key and its end, for dates near and far, and proves itself", async () => {
    const pair = await makeKeyPair();
    for (const notAfter of [new Date("2049-12-31T23:59:59Z"), new Date("2050-01-01T00:00:00Z"), noEnd]) {
      const pem = selfSignedCertificate(pair, {
        name: "104729",
        notBefore: new Date("2026-11-23T00:00:00Z"),
        notAfter,
      });
      const read = new X509Certificate(pem);
      expect(read.verify(pair.publicKey)).toBe(true);
      expect(read.validToDate).toEqual(notAfter);
      expect(read.subject).toBe("CN=104729");
      expect(read.ca).toBe(false);
      expect(read.publicKey.export({ type: "spki", format: "pem" })).toBe(
        pair.publicKey.export({ type: "spki", format: "pem" }),
      );
    }
  });
});

describe("a grant that was tampered with", () => {
  const until = "2027-02-21T00:00:00Z";
  const role = "projects/p/roles/keygateVertexCaller";
  const drift = (expression: string | null) =>
    inventory.driftOf({ limits: { grants: [{ member: "serviceAccount:a", role, expression }] } } as unknown as Looked, {
      role,
      accessUntil: until,
    });

  it("shows, also when its end still stands in it", () => {
    expect(drift(`request.time < timestamp("${until}")`)).toEqual([]);
    const wide = `request.time < timestamp("${until}") || true`;
    expect(drift(wide)).toEqual([{ limit: "expiry", expected: until, found: [wide] }]);
    expect(drift(null)).toEqual([{ limit: "expiry", expected: until, found: [null] }]);
  });
});

describe("the name of an account", () => {
  it.each(["Zoë Müller-O'Brien", "李雷", "x".repeat(80), "Ada"])("fits Google's rule for %s", (name) => {
    const names = ["engines", "", "t".repeat(80)].map((team) =>
      projectNameFor(contract.naming, { team, name, email: "someone@acme.test" }, newId("key"), 0),
    );
    for (const each of names) expect(each).toMatch(/^(?=.{6,30}$)[a-z][-a-z0-9]*[a-z0-9]$/);
    expect(new Set(names).size).toBe(3);
  });
});
