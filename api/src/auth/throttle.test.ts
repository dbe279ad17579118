import { expect, test } from "vitest";
import { networkOf } from "./throttle.ts";

test("whoever has an IPv6 address has its /64, however it is written", () => {
  expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2::/64");
  expect(networkOf("2001:0db8:0001:0002:ffff::1")).toBe("2001:db8:1:2::/64");
  expect(networkOf("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
});

test("an IPv4 address stands for itself, and no address for nobody", () => {
  expect(networkOf("192.0.2.1")).toBe("192.0.2.1");
  expect(networkOf(null)).toBe("unknown");
});
