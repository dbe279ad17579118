import { createServer } from "node:net";

/** Whether nothing listens on this loopback port at this moment; a later listener may still be faster than the caller. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await tryListen(port)) !== null;
}

/** A loopback port that was free a moment ago, chosen by the operating system. */
export async function freePort(): Promise<number> {
  const port = await tryListen(0);
  if (port === null) throw new Error("The operating system offered no free port on 127.0.0.1.");
  return port;
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
