import { createServer, connect as dial, type Socket } from "node:net";
import { boundsTransaction, isWriteOf, type WriteKind } from "./writes.ts";

/** One write to hold back: the statement before PostgreSQL sees it, or PostgreSQL's answer to it. */
export interface Hold {
  what: WriteKind;
  when: "before" | "after";
  /** Told of each write of that kind; true for the one to hold. */
  isDue(): boolean;
  /** The write, or its answer, is in our hands. */
  onHeld(): void;
}

/** The line between one process and PostgreSQL, which can be held at any write. */
export interface Wire {
  /** Where the process finds PostgreSQL. */
  url: string;
  hold(hold: Hold): void;
  /** Lets go what is held, and holds nothing further. */
  release(): void;
  close(): Promise<void>;
}

const headerBytes = 5;
const readyForQuery = "Z".charCodeAt(0);
const parse = "P".charCodeAt(0);
const bind = "B".charCodeAt(0);
const query = "Q".charCodeAt(0);
/** As much of a statement as tells what it writes. */
const statementBytesMax = 16_384;
/** The name that the queue's connections give PostgreSQL. */
const queueApplication = "keygate-queue";

/** Cuts a stream of PostgreSQL's messages at their ends. */
function splitMessages(hasStartup: boolean) {
  let pending: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  let isStarting = hasStartup;
  return (chunk: Buffer): Buffer[] => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const messages: Buffer[] = [];
    for (;;) {
      // The first message of a connection has no type byte.
      const typeBytes = isStarting ? 0 : 1;
      if (pending.length < typeBytes + 4) return messages;
      const length = typeBytes + pending.readUInt32BE(typeBytes);
      if (pending.length < length) return messages;
      messages.push(pending.subarray(0, length));
      pending = pending.subarray(length);
      isStarting = false;
    }
  };
}

/** Reads the messages of one connection: the text of the statement that a message asks PostgreSQL to run, if it does. */
function statements(): (message: Buffer) => string | null {
  const prepared = new Map<string, string>();
  return (message) => {
    const [type] = message;
    if (type === query) return textFrom(message, headerBytes);
    if (type === parse) {
      const afterName = message.indexOf(0, headerBytes) + 1;
      const text = textFrom(message, afterName);
      const name = message.toString("utf8", headerBytes, afterName - 1);
      if (name === "") return text;
      // Parsed once, run again and again: it is run where it is bound.
      prepared.set(name, text);
      return null;
    }
    if (type !== bind) return null;
    const afterPortal = message.indexOf(0, headerBytes) + 1;
    const name = message.toString("utf8", afterPortal, message.indexOf(0, afterPortal));
    return prepared.get(name) ?? null;
  };
}

const textFrom = (message: Buffer, from: number): string =>
  message.toString("utf8", from, Math.min(message.indexOf(0, from), from + statementBytesMax));

/** Opens a line to PostgreSQL on a loopback port of its own. */
export async function openWire(databaseUrl: string): Promise<Wire> {
  const { hostname, port } = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const held = new Set<() => void>();
  let armed: Hold | null = null;

  /** Follows one connection's statements; tells the hold that a write runs into. */
  const follow = () => {
    let isFirst = true;
    let isQueue = false;
    let isAudited = false;
    const statementOf = statements();
    return (message: Buffer): Hold | null => {
      // The queue's own tables are no truth of ours: who loses them fills them again.
      if (isFirst) isQueue = message.includes(queueApplication);
      isFirst = false;
      const statement = isQueue ? null : statementOf(message);
      if (statement === null) return null;
      const isDue = armed !== null && isWriteOf(armed.what, statement, isAudited) && armed.isDue();
      if (boundsTransaction(statement)) isAudited = false;
      else if (isWriteOf("audit", statement, false)) isAudited = true;
      if (!isDue) return null;
      const hold = armed;
      armed = null;
      return hold;
    };
  };

  const server = createServer((client) => {
    const database = dial(Number(port), hostname);
    for (const socket of [client, database]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        database.destroy();
      });
    }
    const take = follow();
    const requests = splitMessages(true);
    const answers = splitMessages(false);
    let heldBack: Buffer[] | null = null;
    let awaited: Hold | null = null;
    const holdBack = (to: Socket) => {
      const mine: Buffer[] = [];
      heldBack = mine;
      held.add(() => {
        heldBack = null;
        if (mine.length > 0) to.write(Buffer.concat(mine));
      });
    };

    client.on("data", (chunk) => {
      for (const message of requests(chunk)) {
        if (heldBack && !awaited) {
          heldBack.push(message);
          continue;
        }
        const hold = take(message);
        if (hold?.when === "before") {
          holdBack(database);
          (heldBack as Buffer[] | null)?.push(message);
          hold.onHeld();
          continue;
        }
        if (hold) {
          awaited = hold;
          holdBack(client);
        }
        database.write(message);
      }
    });
    database.on("data", (chunk) => {
      if (!awaited || !heldBack) {
        client.write(chunk);
        return;
      }
      heldBack.push(chunk);
      const isAnswered = answers(chunk).some(([type]) => type === readyForQuery);
      if (isAnswered) awaited.onHeld();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The line to PostgreSQL has no port.");
  const here = new URL(databaseUrl);
  here.host = `127.0.0.1:${address.port}`;

  const release = () => {
    armed = null;
    for (const letGo of held) letGo();
    held.clear();
  };
  return {
    url: here.toString(),
    hold(hold) {
      armed = hold;
    },
    release,
    async close() {
      armed = null;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
