import { expect, test } from "vitest";
import { oneFor } from "./one-for.ts";

test("one thing is made for each object", () => {
  let made = 0;
  const of = oneFor((key: { name: string }) => `${key.name} ${++made}`);
  const [a, b] = [{ name: "a" }, { name: "b" }];
  expect([of(a), of(b), of(a)]).toEqual(["a 1", "b 2", "a 1"]);
});
