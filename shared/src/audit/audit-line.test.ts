import { describe, expect, test } from "vitest";
import { auditLine, canonicalJson } from "./audit-line.ts";

describe("the canonical form of JSON", () => {
  test("sorts members by their UTF-16 code units at every depth and leaves no space (RFC 8785, 3.2.3)", () => {
    const text = `{"\\u20ac": "Euro Sign", "\\r": "Carriage Return", "\\ufb33": "Hebrew", "1": "One",
      "\\ud83d\\ude00": "Emoji", "\\u0080": "Control", "\\u00f6": {"b": [ ], "a": null}}`;
    expect(canonicalJson(text)).toBe(
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":{"a":null,"b":[]},"€":"Euro Sign","😀":"Emoji","\ufb33":"Hebrew"}',
    );
  });

  test("writes numbers as JavaScript does, and keeps the digits that a double would lose", () => {
    expect(canonicalJson("[56.0,4.50,1,-0.25,333333333.3333333]")).toBe("[56.0,4.50,1,-0.25,333333333.3333333]");
    expect(canonicalJson('{"limit": 50.00000000000000001}')).toBe('{"limit":50.00000000000000001}');
    expect(canonicalJson("[12345678901234567890, 12345678901234567891]")).toBe(
      "[12345678901234567890,12345678901234567891]",
    );
  });

  test("a member may have any name", () => {
    expect(canonicalJson('{"z":1,"__proto__":{"b":2,"a":1.0},"constructor":0}')).toBe(
      '{"__proto__":{"a":1.0,"b":2},"constructor":0,"z":1}',
    );
  });
});

test("a row's line is JSON with sorted members, the number last", () => {
  const row = {
    seq: 7,
    id: "evt-1",
    action: "key.claim",
    actor: 'a "quoted" one',
    resource_type: "key",
    resource_id: "key-1",
    details: '{"outcome": "succeeded", "a": 1}',
    ip_address: null,
    created_at: "2026-11-23T09:00:00.123456Z",
  };
  expect(auditLine(row)).toBe(
    '{"action":"key.claim","actor":"a \\"quoted\\" one","created_at":"2026-11-23T09:00:00.123456Z","details":{"a":1,"outcome":"succeeded"},"id":"evt-1","ip_address":null,"resource_id":"key-1","resource_type":"key","seq":7}',
  );
});
