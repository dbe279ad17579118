/** Runs a simulated vendor on loopback: reads requests, applies faults, keeps the log, answers `/_control/`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type Call, type ControlTarget, handleControl, type Violation } from "./control.ts";
import { type Fault, Faults } from "./faults.ts";
import { readRequest, redactedQuery, respond, respondHalf } from "./http.ts";
import type { SimContext, SimRequest, SimResponse, SimVendor } from "./vendor.ts";

export type { Call, Violation } from "./control.ts";
export type { Fault, FaultSpec } from "./faults.ts";
export type { SimContext, SimRequest, SimResponse, SimVendor } from "./vendor.ts";

export interface RunningVendor extends ControlTarget {
  /** Without a path and without a slash at its end. */
  url: string;
  port: number;
  vendor: SimVendor;
  now(): number;
  /** Stops at once: open connections are destroyed, held calls with them. */
  close(): Promise<void>;
}

export interface ServerOptions {
  /** 0 = any free one. */
  port?: number | undefined;
  host?: string | undefined;
  tls?: { key: string; cert: string } | undefined;
}

/** How start.ts starts a vendor: its servers by name, and the environment that points KeyGate at them. */
export interface VendorEntry {
  servers: readonly string[];
  /** `portOf` gives the port a server is asked to take; `undefined` = any free one. */
  start(portOf: (server: string) => number | undefined): Promise<StartedVendor>;
}

export interface StartedVendor {
  /** One for each name in the entry's `servers`. */
  servers: Record<string, RunningVendor>;
  env: Record<string, string>;
  /** What there is to close besides the servers. */
  close?(): Promise<void>;
}

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

/** Starts a vendor's server. Throws for a host that is not loopback: a vendor that hands out keys to anyone stays at home. */
export async function startVendorServer(vendor: SimVendor, options: ServerOptions = {}): Promise<RunningVendor> {
  const host = options.host ?? "127.0.0.1";
  if (!LOOPBACK.has(host)) throw new Error(`the simulator listens on loopback only, not on ${host}`);

  const world = new World(vendor);
  const listener = (req: IncomingMessage, res: ServerResponse) => void world.serve(req, res);
  const server: Server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  // Longer than clients keep idle connections, so that a reused one is not closed under a request by chance.
  server.keepAliveTimeout = 120_000;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    ...world.target(),
    url: `${options.tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    vendor,
    now: () => world.now(),
    close: async () => {
      world.faults.cancel();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** One vendor with its clock, settings, faults and logs. */
class World {
  readonly faults = new Faults();
  readonly vendor: SimVendor;
  calls: Call[] = [];
  violations: Violation[] = [];
  settings: Record<string, unknown>;
  #clockOffsetMs = 0;

  constructor(vendor: SimVendor) {
    this.vendor = vendor;
    this.settings = vendor.settings?.parse({}) ?? {};
  }

  /** What control, over HTTP or in-process, may do. Logs are handed out as copies. */
  target(): ControlTarget {
    const { vendor } = this;
    return {
      faults: this.faults,
      calls: () => this.calls.map((call) => ({ ...call })),
      violations: () => this.violations.map((violation) => ({ ...violation })),
      books: (wanted = {}) => vendor.books(this.context(null), { secrets: wanted.secrets ?? false }),
      reset: () => this.reset(),
      advanceClock: (ms) => this.advanceClock(ms),
      settings: () => ({ ...this.settings }),
      mergeSettings: (patch) => this.mergeSettings(patch),
      control: async (action, body) => vendor.control?.(action, body, this.context(null)),
    };
  }

  now(): number {
    return Date.now() + this.#clockOffsetMs;
  }

  advanceClock(ms: number): number {
    this.#clockOffsetMs += ms;
    return this.now();
  }

  mergeSettings(patch: Record<string, unknown>): Record<string, unknown> {
    if (this.vendor.settings === undefined) throw new Error(`${this.vendor.name} has no settings`);
    this.settings = this.vendor.settings.strict().parse({ ...this.settings, ...patch });
    return { ...this.settings };
  }

  reset(): void {
    this.faults.cancel();
    this.vendor.reset();
    this.calls = [];
    this.violations = [];
    this.settings = this.vendor.settings?.parse({}) ?? {};
    this.#clockOffsetMs = 0;
  }

  /** `call` is what violations are filed under; control has none, and nobody to blame. */
  context(call: Call | null): SimContext {
    return {
      now: () => this.now(),
      settings: this.settings,
      violation: (reason) => {
        if (call === null) return;
        const { n, method, path } = call;
        this.violations.push({ n, at: this.now(), method, path, reason });
      },
    };
  }

  async serve(incoming: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      const req = await readRequest(incoming);
      if (req.path === "/_control" || req.path.startsWith("/_control/")) {
        await respond(res, await handleControl(this.target(), req));
      } else {
        await this.#serveCall(req, res);
      }
    } catch {
      // The client went while it was sending or being answered: there is nobody to tell.
      res.destroy();
    }
  }

  async #serveCall(req: SimRequest, res: ServerResponse): Promise<void> {
    const startedAt = performance.now();
    const fault = this.faults.take(req.method, req.path);
    const call: Call = {
      n: this.calls.length + 1,
      method: req.method,
      path: req.path,
      query: redactedQuery(req.query),
      status: null,
      at: this.now(),
      ...(fault && { fault: fault.id }),
      effect: false,
      durationMs: null,
    };
    this.calls.push(call);
    try {
      await this.#answer(req, res, call, fault);
    } finally {
      call.durationMs = Math.round(performance.now() - startedAt);
    }
  }

  async #answer(req: SimRequest, res: ServerResponse, call: Call, fault: Fault | null): Promise<void> {
    const gone = new AbortController();
    res.once("close", () => {
      if (!res.writableFinished) gone.abort();
    });
    const send = async (answer: SimResponse) => {
      if (gone.signal.aborted) return;
      // Noted first: a client that has its answer may ask for the log at once.
      call.status = answer.status;
      await respond(res, answer);
    };

    if (fault?.when === "before") {
      if (fault.do.type === "drop") return void res.destroy();
      if (fault.do.type === "respond") return send(asResponse(fault.do));
      if (!(await this.#held(fault, gone.signal))) return void res.destroy();
    }

    call.effect = true;
    const answer = await this.#ask(req, call);
    if (fault === null || fault.when === "before") return send(answer);

    const shown = fault.do.type === "respond" ? asResponse(fault.do) : answer;
    if (fault.when === "during") {
      call.status = shown.status;
      const finish = await respondHalf(res, shown);
      const waits = fault.do.type === "delay" || fault.do.type === "hang";
      const goesOn = waits && (await this.#held(fault, gone.signal));
      return goesOn ? finish() : void res.destroy();
    }
    if (fault.do.type === "drop") return void res.destroy();
    if (fault.do.type !== "respond" && !(await this.#held(fault, gone.signal))) return void res.destroy();
    return send(shown);
  }

  /** Whether the call goes on after a `delay` or `hang`. */
  async #held(fault: Fault, clientGone: AbortSignal): Promise<boolean> {
    const ms = fault.do.type === "delay" ? fault.do.ms : null;
    return (await this.faults.hold(fault.id, ms, clientGone)) === "go-on";
  }

  async #ask(req: SimRequest, call: Call): Promise<SimResponse> {
    const context = this.context(call);
    try {
      return await this.vendor.handle(req, context);
    } catch (error) {
      // A mistake of ours, not of the caller. It must not pass for a vendor's outage, so it is filed where tests look.
      console.error(error);
      context.violation(`simulator failed: ${error instanceof Error ? error.message : String(error)}`);
      return { status: 500, body: { error: { message: "the simulator failed", type: "simulator_error" } } };
    }
  }
}

type RespondEffect = Extract<Fault["do"], { type: "respond" }>;

function asResponse({ status, headers, body, text }: RespondEffect): SimResponse {
  return { status, ...(headers && { headers }), ...(text === undefined ? { body } : { text }) };
}
