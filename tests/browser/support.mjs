// A browser and a page for the tests.

import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";

export { Server, until } from "./server.mjs";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");

export const screenshots = new URL("./screenshots/", import.meta.url).pathname;
await mkdir(screenshots, { recursive: true });

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
