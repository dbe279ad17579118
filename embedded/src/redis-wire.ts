import { connect } from "node:net";

export interface RedisAddress {
  port: number;
  password: string;
}

/**
 * Sends one command to a Redis on 127.0.0.1 over a connection of its own and returns its simple reply (a status or a
 * number; not for values or lists). Rejects on an error reply, a lost connection, or silence for `timeoutMs`. It saves
 * this package a Redis client for the few commands that starting and testing need.
 */
export function redisCommand(address: RedisAddress, command: readonly string[], timeoutMs = 5_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: address.port });
    let received = "";
    socket.setEncoding("utf8");
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error("Redis did not answer in time.")));
    socket.on("connect", () => socket.write(encode(["AUTH", address.password]) + encode(command)));
    socket.on("data", (chunk) => {
      received += chunk;
      const lines = received.split("\r\n").slice(0, -1);
      const failed = lines.find((line) => line.startsWith("-"));
      if (failed) {
        socket.destroy(new Error(`Redis: ${failed.slice(1)}`));
        return;
      }
      const answer = lines[1];
      if (answer === undefined) return;
      resolve(answer.slice(1));
      socket.end();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("Redis closed the connection.")));
  });
}

function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}
