// A server, a browser and a page for the tests.

import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");

export const screenshots = new URL("./screenshots/", import.meta.url).pathname;
await mkdir(screenshots, { recursive: true });

/** A server with a page, on a port that stays the same when it is started again. */
export class Server {
  static async start(more = []) {
    const server = new Server();
    server.port = await freePort();
    server.more = more;
    await server.start();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async start() {
    const listen = ["--listen", `127.0.0.1:${this.port}`];
    const command = this.more.length ? ["serve", "--source", "simulated", "--page", ...listen, ...this.more] : ["demo", ...listen];
    this.process = spawn(process.env.TICKCAST, command, { stdio: ["ignore", "ignore", "pipe"] });
    this.ended = new Promise((ended) => this.process.once("exit", ended));
    const lines = createInterface({ input: this.process.stderr });
    await new Promise((resolve, reject) => {
      lines.on("line", (line) => line.includes("listening") && resolve());
      this.process.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    await until("a book is good", async () => (await fetch(`${this.url}/readyz`)).ok);
  }

  /** As the kernel does it when memory is out: nobody is told. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  async get(path) {
    const answer = await fetch(this.url + path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--enable-precise-memory-info", "--js-flags=--expose-gc"],
  });
}

/** A page, and everything that went wrong on it or was asked of another host. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 860 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(error.stack ?? String(error)));
  page.on("console", (message) => {
    // A server that is away is what some tests are about.
    if (message.type() === "error" && !/ERR_CONNECTION_|WebSocket|status of 503/.test(message.text())) wrong.push(message.text());
    if (message.type() === "warning") wrong.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) wrong.push(`asked of another host: ${request.url()}`);
  });
  await page.goto(url);
  return { page, context, wrong };
}

/** Waits for the chart, the ladder and the tape. */
export async function filled(page, shows) {
  await page.waitForFunction(
    (shows) =>
      document.querySelector("#chart")?.dataset.shows === shows &&
      document.querySelector("#ladder")?.dataset.state === "good" &&
      document.querySelector("#tape .price")?.textContent,
    shows,
    { timeout: 30_000 },
  );
}

/** What the ladder shows: its update and its best prices, all of one frame. */
export function best(page) {
  return page.evaluate(() => ({
    update: Number(document.querySelector("#ladder").dataset.update),
    ask: [...document.querySelectorAll("#asks .row:last-child span")].slice(0, 2).map((cell) => cell.textContent),
    bid: [...document.querySelectorAll("#bids .row:first-child span")].slice(0, 2).map((cell) => cell.textContent),
  }));
}

/** Looks again and again until something holds. */
export async function until(what, holds, patience = 30_000) {
  const deadline = Date.now() + patience;
  let last;
  for (;;) {
    try {
      const found = await holds();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`, { cause: last });
    await new Promise((again) => setTimeout(again, 10));
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
