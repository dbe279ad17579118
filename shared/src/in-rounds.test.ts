import { describe, expect, test } from "vitest";
import { inRounds } from "./in-rounds.ts";

/** Rounds whose ends are in the test's hands. */
function heldRounds() {
  const rounds: { items: readonly number[]; end(): void; fail(error: Error): void }[] = [];
  const ask = inRounds<number, string>((items) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    rounds.push({ items, end: () => resolve(items.map((item) => `answer ${item}`)), fail: reject });
    return promise;
  });
  return { rounds, ask };
}
const nextTurn = () => new Promise<void>((done) => setImmediate(done));

describe("rounds", () => {
  test("serve whoever comes alone at once, and those who come meanwhile together afterwards", async () => {
    const { rounds, ask } = heldRounds();
    const first = ask(1);
    await nextTurn();
    const others = [ask(2), ask(3)];
    await nextTurn();
    expect(rounds.map(({ items }) => items)).toEqual([[1]]);
    rounds[0]?.end();
    expect(await first).toBe("answer 1");
    await nextTurn();
    expect(rounds.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    rounds[1]?.end();
    expect(await Promise.all(others)).toEqual(["answer 2", "answer 3"]);
    await nextTurn();
    const late = ask(4);
    await nextTurn();
    expect(rounds[2]?.items).toEqual([4]);
    rounds[2]?.end();
    expect(await late).toBe("answer 4");
  });

  test("are taken up again by whoever asks in the very moment in which the last one ended", async () => {
    const { rounds, ask } = heldRounds();
    const chained = ask(1).then(() => ask(2));
    await nextTurn();
    rounds[0]?.end();
    await nextTurn();
    rounds[1]?.end();
    expect(await chained).toBe("answer 2");
  });

  test("take a hundred items at most", async () => {
    const { rounds, ask } = heldRounds();
    const all = Promise.all(Array.from({ length: 150 }, (_, index) => ask(index)));
    await nextTurn();
    rounds[0]?.end();
    await nextTurn();
    rounds[1]?.end();
    expect((await all).at(-1)).toBe("answer 149");
    expect(rounds.map(({ items }) => items.length)).toEqual([100, 50]);
  });

  test("fail for those who were in them and nobody else", async () => {
    const { rounds, ask } = heldRounds();
    const first = ask(1);
    await nextTurn();
    const second = ask(2);
    rounds[0]?.fail(new Error("away"));
    await expect(first).rejects.toThrow("away");
    await nextTurn();
    rounds[1]?.end();
    expect(await second).toBe("answer 2");
  });

  test("try each of their items alone when one of them was what failed", async () => {
    const tried: (readonly number[])[] = [];
    const ask = inRounds<number, number>(
      async (items) => {
        tried.push(items);
        if (items.includes(2)) throw new RangeError("two");
        return items.map((item) => item * 10);
      },
      (error) => error instanceof RangeError,
    );
    const results = await Promise.allSettled([1, 2, 3].map(ask));
    expect(results.map((result) => (result.status === "fulfilled" ? result.value : "failed"))).toEqual([
      10,
      "failed",
      30,
    ]);
    expect(tried).toEqual([[1, 2, 3], [1], [2], [3]]);
  });

  test("refuse a work that answers for another number of items", async () => {
    const ask = inRounds<number, number>(async () => []);
    await expect(ask(1)).rejects.toThrow("another number of items");
  });
});
