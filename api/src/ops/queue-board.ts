import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { HonoAdapter } from "@bull-board/hono";
import { serveStatic } from "@hono/node-server/serve-static";
import type { Queues } from "@keygate/shared/queue";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Env } from "../env.ts";
import { type BoardLogin, boardLogin, sameSiteOnly } from "../middleware/board-login.ts";
import { bodyLimitBytes } from "../middleware/body.ts";
import { contentSecurityPolicy } from "../middleware/security-headers.ts";
import { requireRole } from "../route.ts";

export const boardPath = "/queues";

// The board's page names its base; it also asks for a font elsewhere, and the policy answers that it does without.
const boardPolicy = contentSecurityPolicy({
  "base-uri": "'self'",
  "style-src": "'self' 'unsafe-inline'",
  "img-src": "'self' data:",
});

function createBoard(queues: Queues): Hono {
  const serverAdapter = new HonoAdapter(serveStatic).setBasePath(boardPath);
  createBullBoard({
    queues: queues.boardQueues().map((queue) => new BullMQAdapter(queue)),
    serverAdapter,
    options: { uiConfig: { boardTitle: "KeyGate" } },
  });
  return new Hono().route(boardPath, serverAdapter.registerPlugin());
}

/** bull-board, for admins. Its entries hold the ids of jobs and nothing else. */
export function queueBoard(queues: Queues, login: BoardLogin): Hono<Env> {
  const board = createBoard(queues);
  const path = `${boardPath}/*`;
  const mayEnter = [boardLogin(login), requireRole("admin"), sameSiteOnly()] as const;
  return new Hono<Env>()
    .get(`${boardPath}/`, (c) => c.redirect(boardPath, 308))
    .use(path, ...mayEnter, bodyLimit({ maxSize: bodyLimitBytes }), async (c) => {
      const response = await board.fetch(c.req.raw, c.env);
      c.header("Content-Security-Policy", boardPolicy);
      return c.newResponse(response.body, response);
    });
}
