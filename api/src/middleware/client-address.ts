import { BlockList, isIP } from "node:net";
import type { MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";

const familyOf = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");

/** An address without port, brackets and the IPv6 form of an IPv4 address; null when it is none. */
export function plainAddress(text: string | undefined): string | null {
  const trimmed = (text ?? "").trim();
  const bare =
    /^\[([^\]]+)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed.replace(/%.*$/, "");
  const address = bare.replace(/^::ffff:(?=[\d.]+$)/i, "");
  return isIP(address) ? address : null;
}

/** Who is asked to vouch for others: addresses and networks like `10.0.0.0/8`. */
export function proxyList(entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", bits] = entry.split("/");
    if (bits === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(bits), familyOf(address));
  }
  return (address) => list.check(address, familyOf(address));
}

/**
 * The client's address: the connection's own, or when that is a trusted proxy's, the last one in `X-Forwarded-For` that
 * is not. Everything left of it could have been written by the client.
 */
export function addressOf(
  connection: string | null,
  forwardedFor: string | undefined,
  isTrusted: (address: string) => boolean,
): string | null {
  let address = connection;
  for (const hop of (forwardedFor ?? "").split(",").reverse()) {
    if (address === null || !isTrusted(address)) break;
    const next = plainAddress(hop);
    if (next === null) break;
    address = next;
  }
  return address;
}

/** Sets `address`. */
export function clientAddress(trustedProxies: readonly string[]): MiddlewareHandler<Env> {
  const isTrusted = proxyList(trustedProxies);
  return async (c, next) => {
    // Without a server under it (app.request in a test) there is no connection.
    const connection = plainAddress(c.env?.incoming?.socket.remoteAddress);
    c.set("address", addressOf(connection, c.req.header("x-forwarded-for"), isTrusted));
    await next();
  };
}
