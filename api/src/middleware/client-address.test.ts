import { expect, test } from "vitest";
import { addressOf, plainAddress, proxyList } from "./client-address.ts";

const isTrusted = proxyList(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);

test("a stranger's X-Forwarded-For counts for nothing", () => {
  expect(addressOf("203.0.113.9", "10.0.0.1", isTrusted)).toBe("203.0.113.9");
});

test("a trusted proxy's word is taken, through any number of trusted ones", () => {
  expect(addressOf("127.0.0.1", "203.0.113.9", isTrusted)).toBe("203.0.113.9");
  expect(addressOf("127.0.0.1", "203.0.113.9, 10.9.9.9, fd00::1", isTrusted)).toBe("203.0.113.9");
});

test("what the client wrote itself, left of the first proxy's entry, is not believed", () => {
  expect(addressOf("127.0.0.1", "1.1.1.1, 203.0.113.9", isTrusted)).toBe("203.0.113.9");
});

test("an entry that is no address ends the search", () => {
  expect(addressOf("127.0.0.1", "203.0.113.9, unknown", isTrusted)).toBe("127.0.0.1");
  expect(addressOf("127.0.0.1", "", isTrusted)).toBe("127.0.0.1");
  expect(addressOf(null, "203.0.113.9", isTrusted)).toBeNull();
});

test("ports, brackets, zones and mapped addresses are taken off", () => {
  expect(plainAddress("::ffff:192.0.2.1")).toBe("192.0.2.1");
  expect(plainAddress("192.0.2.1:443")).toBe("192.0.2.1");
  expect(plainAddress("[2001:db8::1]:443")).toBe("2001:db8::1");
  expect(plainAddress("fe80::1%eth0")).toBe("fe80::1");
  expect(plainAddress("localhost")).toBeNull();
});
