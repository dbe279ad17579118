import type { Config } from "@keygate/shared/config";
import { KeyGateError } from "@keygate/shared/errors";
import type { MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";
import { plainAddress, proxyList } from "./client-address.ts";

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i;

/** The name in a `Host` header or address, without its port. */
const nameOf = (host: string): string => (URL.parse(`http://${host}`)?.hostname ?? "").toLowerCase();

/**
 * For a KeyGate that listens on this machine alone: answers to the names of this machine and of `PUBLIC_URL` only. A
 * page elsewhere can have its own name point to 127.0.0.1 (DNS rebinding) and would be same-origin with us otherwise.
 * A trusted proxy vouches for the name that it passes on. Where KeyGate listens to the network, what is in front of it
 * decides which names lead here.
 */
export function knownHost({ host, publicUrl, trustedProxies }: Config["http"]): MiddlewareHandler<Env> {
  if (!loopback.test(host)) return (_c, next) => next();
  const isTrusted = proxyList(trustedProxies);
  const publicName = publicUrl ? new URL(publicUrl).hostname.toLowerCase() : null;
  const isOurs = (name: string) => loopback.test(name) || name.endsWith(".localhost") || name === publicName;
  return async (c, next) => {
    const given = c.req.header("host");
    const connection = plainAddress(c.env?.incoming?.socket.remoteAddress);
    const isVouched = connection !== null && isTrusted(connection);
    if (given !== undefined && !isVouched && !isOurs(nameOf(given))) {
      throw new KeyGateError("request.misdirected", {
        detail: "Set PUBLIC_URL to the address under which people reach it, or TRUSTED_PROXIES to the proxy in front.",
      });
    }
    await next();
  };
}
