import { type KeyGateError, must } from "@keygate/shared/errors";
import { describe, expect, it } from "vitest";
import { requireLease, underLease } from "../src/lease-watch.ts";
import type { GoogleClient } from "../src/vendors/google-vertex/client.ts";
import { classifyGoogle } from "../src/vendors/google-vertex/errors.ts";
import { inventory } from "../src/vendors/google-vertex/inventory.ts";
import { type Binding, Policy, withGrant, withoutGrant } from "../src/vendors/google-vertex/policy.ts";
import { changePolicy, type PolicyAccess } from "../src/vendors/google-vertex/policy-queue.ts";
import { persist, startWorld } from "./google-vertex-support.ts";

const role = "projects/p/roles/keygateVertexCaller";
const email = "keygate-a-b-c@p.iam.gserviceaccount.com";
const member = `serviceAccount:${email}`;
const until = "2027-02-21T00:00:00Z";
const expression = `request.time < timestamp("${until}")`;
const grant = { email, role, until };

/** What other people have in the policy, with things that we do not know. */
const strangers = (): Binding[] => [
  { role: "roles/owner", members: ["user:admin@example.com"], note: "unknown to us" },
  { role, members: ["serviceAccount:somebody@p.iam.gserviceaccount.com"] },
  {
    role: "roles/viewer",
    members: ["user:contractor@example.com", "deleted:user:gone@example.com?uid=1"],
    condition: { title: "until 2030", expression: 'request.time < timestamp("2030-01-01T00:00:00Z")', location: "x" },
  },
];

describe("a change of the policy", () => {
  it("adds one binding with its end and keeps everybody else's, unknown fields and order included", () => {
    const changed = withGrant(strangers(), grant) ?? [];
    expect(changed.slice(0, 3)).toEqual(strangers());
    expect(changed.slice(3)).toEqual([
      {
        role,
        members: [member],
        condition: { title: "keygate-keygate-a-b-c", description: "set by KeyGate", expression },
      },
    ]);
  });

  it("is none when the grant stands already, so that a lost answer is not written twice", () => {
    const changed = withGrant(strangers(), grant) ?? [];
    expect(withGrant(changed, grant)).toBeNull();
  });

  it("replaces the condition instead of adding a second binding", () => {
    const later = { ...grant, until: "2028-01-01T00:00:00Z" };
    const changed = withGrant(withGrant(strangers(), grant) ?? [], later) ?? [];
    expect(changed.filter(({ members }) => members.includes(member))).toHaveLength(1);
    expect(JSON.stringify(changed)).not.toContain(until);
  });

  it("gives a grant without an end to a key without an end", () => {
    const changed = withGrant([], { ...grant, until: null });
    expect(changed).toEqual([{ role, members: [member] }]);
  });

  it("takes out both spellings of our account, and nobody else's", () => {
    const ours: Binding[] = [
      { role, members: [`deleted:${member}?uid=123`] },
      { role, members: [member, "user:friend@example.com"], condition: { expression } },
      { role: "roles/viewer", members: [member] },
    ];
    expect(withoutGrant([...strangers(), ...ours], grant)).toEqual([
      ...strangers(),
      { role, members: ["user:friend@example.com"], condition: { expression } },
      // Another role is not ours to touch: the credential may be limited to one.
      { role: "roles/viewer", members: [member] },
    ]);
    expect(withoutGrant(strangers(), grant)).toBeNull();
  });

  it("refuses to add to a policy that is full", () => {
    const full = [{ role: "roles/viewer", members: Array.from({ length: 1_500 }, (_, n) => `user:${n}@example.com`) }];
    expect(() => withGrant(full, grant)).toThrow(/1500 principals/);
  });

  it("keeps a stranger's condition that came without its expression", () => {
    const odd = { role: "roles/viewer", members: ["user:a@example.com"], condition: { title: "odd" } };
    const read = Policy.parse({ etag: "e", bindings: [odd] });
    expect(withGrant(read.bindings, grant)?.[0]).toEqual(odd);
  });

  it("is never written from a policy that came without its etag", () => {
    expect(Policy.safeParse({ version: 3, bindings: [] }).success).toBe(false);
    expect(Policy.safeParse({ version: 3, etag: "", bindings: [] }).success).toBe(false);
  });
});

const refusal = (status: number, code: string) =>
  classifyGoogle({
    status,
    headers: {},
    json: { error: { code: status, status: code, message: "simulated" } },
    call: { method: "POST", endpoint: "policy write" },
  });

/** A policy in memory that counts its writes and refuses as it is told. */
function fakePolicy(refuse: (bindings: Binding[], write: number) => KeyGateError | null = () => null) {
  const state = { bindings: strangers(), reads: 0, writes: 0 };
  const access: PolicyAccess = {
    async read() {
      state.reads += 1;
      return { version: 3, etag: `e${state.writes}`, bindings: state.bindings, auditConfigs: ["kept"] };
    },
    async write(policy) {
      state.writes += 1;
      const error = refuse(policy.bindings, state.writes);
      if (error) throw error;
      expect(policy).toMatchObject({ auditConfigs: ["kept"] });
      state.bindings = policy.bindings;
    },
  };
  return { state, access };
}

const grantOf = (name: string) => ({ email: `${name}@p.iam.gserviceaccount.com`, role, until });
let names = 0;
const fresh = () => `policy-${names++}`;

describe("many changes at once", () => {
  it("are written together", async () => {
    const { state, access } = fakePolicy();
    const name = fresh();
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => changePolicy(name, access, (b) => withGrant(b, grantOf(`k${n}`)))),
    );
    expect(state.bindings).toHaveLength(43);
    expect(state.writes).toBe(1);
  });

  it("start over whole when somebody else was faster, and give up after ten rounds", async () => {
    const { state, access } = fakePolicy((_, write) => (write <= 3 ? refusal(409, "ABORTED") : null));
    await changePolicy(fresh(), access, (b) => withGrant(b, grant));
    expect(state).toMatchObject({ reads: 4, writes: 4 });

    const never = fakePolicy(() => refusal(409, "ABORTED"));
    await expect(changePolicy(fresh(), never.access, (b) => withGrant(b, grant))).rejects.toMatchObject({
      code: "vendor.unavailable",
      nothingHappened: true,
    });
    expect(never.state.writes).toBe(10);
  }, 60_000);

  it.each([
    [400, "INVALID_ARGUMENT"],
    [403, "PERMISSION_DENIED"],
    [404, "NOT_FOUND"],
  ])("do not fail for one among them that Google refuses with %i", async (status, code) => {
    const isBad = (bindings: Binding[]) => bindings.some(({ members }) => members.some((each) => each.includes("bad")));
    const { state, access } = fakePolicy((bindings) => (isBad(bindings) ? refusal(status, code) : null));
    const name = fresh();
    const results = await Promise.allSettled(
      ["a", "bad", "c"].map((each) => changePolicy(name, access, (b) => withGrant(b, grantOf(each)))),
    );
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(state.bindings).toHaveLength(5);
  });

  it("write nothing when there is nothing to change", async () => {
    const { state, access } = fakePolicy();
    await changePolicy(fresh(), access, (b) => withoutGrant(b, grant));
    expect(state.writes).toBe(0);
  });
});

describe("a change whose job lost its lease", () => {
  const watch = (isOver: () => boolean) => ({ isOver });
  const holding = watch(() => false);

  it("is not written with the others', who are not told that they lost theirs", async () => {
    let isLost = false;
    const { state, access } = fakePolicy();
    const name = fresh();
    const ask = (lease: typeof holding, who: string) =>
      underLease(lease, () => changePolicy(name, access, (b) => withGrant(b, grantOf(who))));
    // Each place in the batch: the first is the one in whose name the calls used to be made.
    const asked = [
      ask(
        watch(() => isLost),
        "stalled-first",
      ),
      ask(holding, "holding"),
      ask(
        watch(() => isLost),
        "stalled-last",
      ),
    ];
    isLost = true;
    const results = await Promise.allSettled(asked);
    expect(results).toMatchObject([
      { status: "rejected", reason: { code: "job.lease_lost" } },
      { status: "fulfilled" },
      { status: "rejected", reason: { code: "job.lease_lost" } },
    ]);
    expect(state.bindings.flatMap(({ members }) => members).join()).not.toContain("stalled");
    expect(state.bindings).toHaveLength(4);
  });

  it("is not written when the lease ends between reading and writing", async () => {
    const { state, access } = fakePolicy();
    // As the worker's HTTP does right before each call.
    const guarded: PolicyAccess = {
      read: () => access.read(),
      async write(policy) {
        requireLease();
        await access.write(policy);
      },
    };
    const name = fresh();
    const asked = [
      underLease(
        watch(() => state.reads > 0),
        () => changePolicy(name, guarded, (b) => withGrant(b, grantOf("stalled"))),
      ),
      underLease(holding, () => changePolicy(name, guarded, (b) => withGrant(b, grantOf("holding")))),
    ];
    const results = await Promise.allSettled(asked);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(state).toMatchObject({ reads: 2, writes: 1 });
    expect(state.bindings.flatMap(({ members }) => members).join()).not.toContain("stalled");
  });
});

describe("one policy for everybody", () => {
  it("starts over when the etag is not the latest, however that is said", async () => {
    const world = await startWorld();
    const stale = [
      { status: 412, body: "precondition failed" },
      { status: 409, body: { error: { code: 409, status: "ABORTED", message: "changed" } } },
    ];
    for (const { status, body } of stale) {
      const match = { method: "POST", path: ":setIamPolicy$", nth: 1 };
      world.google.main.faults.add({ match, when: "before", do: { type: "respond", status, body } });
      const { vendorRef } = await world.provisioned();
      const email = String(vendorRef.email);
      expect(
        world.books().policy.bindings.filter(({ members }) => members.some((m) => m.includes(email))),
      ).toHaveLength(1);
      world.google.main.faults.clear();
    }
  });

  it("shows another role that somebody gave to an account of ours, which no condition of ours limits", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    const email = String(vendorRef.email);
    const driftNow = async () => {
      const scan = { client: world.client as GoogleClient, once: <T>(_: string, read: () => Promise<T>) => read() };
      const item = must(await inventory.find(scan, { ...vendorRef }), "the account");
      return inventory.driftOf(await inventory.look(scan, item), { ...vendorRef });
    };
    expect(await driftNow()).toEqual([]);
    const members = ["user:admin@example.com", `serviceAccount:${email}`];
    await world.google.main.control("edit_policy", { add: { role: "roles/aiplatform.user", members } });
    expect(await driftNow()).toEqual([
      { limit: "role", expected: [vendorRef.role], found: [vendorRef.role, "roles/aiplatform.user"] },
    ]);
    // What somebody else gave stays theirs to take, and stops the end of nothing.
    await world.job().run("revoke-last", vendorRef);
    expect(world.google.liveKeys()).toEqual([]);
  });

  it("ends with exactly the right bindings and all of a stranger's after 50 provisionings and revocations at once", async () => {
    const world = await startWorld();
    const leaving = await Promise.all(Array.from({ length: 25 }, () => world.provisioned()));
    const before = world.othersBindings();

    let isOver = false;
    const added: string[] = [];
    const stranger = (async () => {
      for (let n = 0; !isOver; n++) {
        const who = `user:colleague-${n}@example.com`;
        const condition = { title: "for a week", expression: 'request.time < timestamp("2031-01-01T00:00:00Z")' };
        const add = { role: "roles/viewer", members: [who], ...(n % 2 === 0 ? { condition } : {}) };
        const remove = { role: "roles/viewer", member: "user:nobody@example.com" };
        await world.google.main.control("edit_policy", { add, remove });
        added.push(who);
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    })();
    // A second client, as another process with its own queue would be.
    const elsewhere = world.connect();
    const [staying] = await Promise.all([
      Promise.all(
        Array.from({ length: 25 }, async (_, n) => {
          const job = n % 2 === 0 ? world.job() : world.job({}, elsewhere);
          return job.run("provision");
        }),
      ),
      ...leaving.map(({ vendorRef }) => world.job().run("revoke-last", vendorRef)),
    ]);
    isOver = true;
    await stranger;

    const { policy } = world.books();
    const ours = policy.bindings.filter(({ members }) => members.some((each) => each.includes(":keygate-engines")));
    expect(ours.flatMap(({ members }) => members).sort()).toEqual(
      staying.map((state) => `serviceAccount:${state.email}`).sort(),
    );
    expect(
      ours.every(({ condition, members }) => condition?.expression.includes("request.time") && members.length === 1),
    ).toBe(true);
    const viewers = policy.bindings.filter((binding) => binding.role === "roles/viewer");
    expect(added.length).toBeGreaterThan(10);
    expect(viewers.flatMap(({ members }) => members)).toEqual(expect.arrayContaining(added));
    for (const binding of before.filter((each) => each.role !== "roles/viewer")) {
      expect(policy.bindings).toContainEqual(binding);
    }
    expect(policy.auditConfigs).toHaveLength(1);
    expect(world.violations()).toEqual([]);
    expect(world.google.liveKeys()).toHaveLength(25);
    expect(world.google.leftovers()).toHaveLength(50);
  }, 120_000);

  it("is changed although the credential may grant and withdraw one role only", async () => {
    const world = await startWorld({ admin_grants: ["projects/keygate-sim/roles/keygateVertexCaller"] });
    const { vendorRef } = await world.provisioned();
    await world.job().run("revoke-last", vendorRef);
    expect(world.google.leftovers()).toEqual([]);
  });

  it("is read again after a lost answer, and the grant is there once", async () => {
    const world = await startWorld();
    world.google.main.faults.add({ match: { path: ":setIamPolicy$" }, when: "after", do: { type: "drop" } });
    const job = world.job();
    await persist(() => job.once("provision"), world.google.advance);
    expect(world.books().events.filter(({ event }) => event === "policy.set")).toHaveLength(1);
  });
});
