import { Cluster, Redis } from "ioredis";

interface RedisNodes {
  kind: "sentinel" | "cluster";
  tls: boolean;
  username: string | undefined;
  password: string | undefined;
  /** The Sentinels, or some nodes of the cluster. */
  nodes: { host: string; port: number }[];
  /** What the Sentinels call the group of servers. */
  group: string;
  sentinelPassword: string | undefined;
}

const shape =
  /^redis(?<tls>s?)\+(?<kind>sentinel|cluster):\/\/(?:(?<username>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<group>[^/?#]*))?(?:\?(?<query>[^#]*))?$/;
const defaultPorts = { sentinel: 26_379, cluster: 6379 } as const;

/**
 * Reads `REDIS_URL`: one server (`redis://:password@host:6379`), the Sentinels of a group
 * (`redis+sentinel://:password@a:26379,b:26379/group?sentinel_password=…`) or some nodes of a cluster
 * (`redis+cluster://:password@a:6379,b:6379`); with `rediss` all of it over TLS. Null when it is none of them.
 */
export function readRedisUrl(url: string): { kind: "single" } | RedisNodes | null {
  if (/^rediss?:\/\//.test(url)) return { kind: "single" };
  const { tls, kind: given, username, password, hosts = "", group = "", query = "" } = shape.exec(url)?.groups ?? {};
  const kind = given === "sentinel" || given === "cluster" ? given : null;
  if (!kind || (kind === "sentinel") !== (group !== "")) return null;
  const nodes = hosts.split(",").map((text) => {
    const [, host = "", port] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
    return { host: host.replace(/^\[|\]$/g, ""), port: port ? Number(port) : defaultPorts[kind] };
  });
  if (nodes.some(({ host, port }) => host === "" || port < 1 || port > 65_535)) return null;
  try {
    return {
      kind,
      tls: tls === "s",
      username: username ? decodeURIComponent(username) : undefined,
      password: password ? decodeURIComponent(password) : undefined,
      nodes,
      group: decodeURIComponent(group),
      sentinelPassword: new URLSearchParams(query).get("sentinel_password") ?? undefined,
    };
  } catch {
    return null;
  }
}

export interface RedisPatience {
  /** How often a command is tried on a new connection; null waits until Redis is back. */
  maxRetriesPerRequest: number | null;
  commandTimeout?: number;
}

export type AnyRedis = Redis | Cluster;

const retryDelay = (times: number) => Math.min(100 * 2 ** Math.min(times, 5), 2_000);

/** Opens a connection as `REDIS_URL` says. All of KeyGate's keys carry one hash tag, so that a cluster keeps them on one node. */
export function openRedis(url: string, patience: RedisPatience, onError: (error: Error) => void): AnyRedis {
  const redis = connect(url, patience);
  redis.on("error", onError);
  return redis;
}

function connect(url: string, patience: RedisPatience): AnyRedis {
  const common = { ...patience, connectTimeout: 5_000 };
  const read = readRedisUrl(url);
  if (!read) throw new Error("REDIS_URL names no Redis.");
  if (read.kind === "single") return new Redis(url, { ...common, retryStrategy: retryDelay });
  const { nodes, tls, username, password, group, sentinelPassword } = read;
  const login = { ...(username ? { username } : {}), ...(password ? { password } : {}), ...(tls ? { tls: {} } : {}) };
  if (read.kind === "cluster") {
    return new Cluster(nodes, {
      clusterRetryStrategy: retryDelay,
      // A certificate names hosts: what a node is called must not become an address first.
      ...(tls ? { dnsLookup: (host, found) => found(null, host) } : {}),
      redisOptions: { ...common, ...login },
    });
  }
  return new Redis({
    ...common,
    ...login,
    sentinels: nodes,
    name: group,
    ...(sentinelPassword ? { sentinelPassword } : {}),
    enableTLSForSentinelMode: tls,
    // A failover shows as a lost connection, or, when the old master lives on, as one that may only read.
    failoverDetector: true,
    reconnectOnError: (error) => (error.message.startsWith("READONLY") ? 2 : false),
    retryStrategy: retryDelay,
    sentinelRetryStrategy: retryDelay,
  });
}
