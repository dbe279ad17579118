import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Whether nothing listens on this loopback port at this moment; a later listener may still be faster than the caller. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await tryListen(port)) !== null;
}

// Below the ports that systems give to outgoing connections (32768 and up on Linux): whoever comes back to a port after a
// while, like a server that was killed, would else find somebody's connection on it.
const first = 20_000;
const last = 32_000;
const triesMax = 100;

/** A loopback port that was free a moment ago, and that no outgoing connection takes. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < triesMax; tried++) {
    const port = await tryListen(randomInt(first, last));
    if (port !== null) return port;
  }
  throw new Error(`None of ${triesMax} ports between ${first} and ${last} was free on 127.0.0.1.`);
}

function tryListen(port: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(null);
      else reject(error);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      const chosen = address !== null && typeof address === "object" ? address.port : port;
      server.close(() => resolve(chosen));
    });
  });
}
