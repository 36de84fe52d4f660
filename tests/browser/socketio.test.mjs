// A page at an allowed origin uses the stock client of Socket.IO; a page of anywhere else may not.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { test } from "node:test";

import { launch, Server } from "./support.mjs";

const CLIENT = new URL("../clients/node_modules/socket.io-client/dist/socket.io.js", import.meta.url);

/** A site of one page that holds the stock client. */
async function site(t) {
  const client = await readFile(CLIENT);
  const server = createServer((request, answer) => {
    const is = request.url === "/socket.io.js";
    answer.setHeader("Content-Type", is ? "text/javascript" : "text/html");
    answer.end(is ? client : '<!doctype html><link rel="icon" href="data:,"><script src="/socket.io.js"></script>');
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

/** Connects from a page of this site, and says what became of it. */
async function visit(browser, from, url, options) {
  const page = await browser.newPage();
  const [requests, websockets] = [[], []];
  page.on("request", (request) => request.url().includes("/socket.io/") && requests.push(request.method()));
  page.on("websocket", (websocket) => websockets.push(websocket.url()));
  await page.goto(from);
  const found = await page.evaluate(
    ({ url, options }) =>
      new Promise((resolve) => {
        const found = { transports: [] };
        const socket = io(`${url}/ws`, { reconnection: false, ...options });
        socket.on("connect_error", (error) => resolve({ ...found, refused: error.message }));
        // The upgrade may be over before the namespace is entered.
        socket.io.on("open", () => {
          const note = () => found.transports.push(socket.io.engine.transport.name);
          note();
          socket.io.engine.on("upgrade", note);
        });
        socket.on("connect", () => socket.emit("subscribe", { channel: "orderbook", symbol: "BTCUSDT" }));
        socket.on("orderbook.update", ({ data }) => {
          // What it hears on the first transport, it goes on hearing on the second.
          if (!options.transports && found.transports.length < 2) return;
          socket.close();
          resolve({ ...found, levels: data.bids.length });
        });
      }),
    { url, options },
  );
  await page.close();
  return { ...found, requests, websockets };
}

test("a page of an allowed origin connects through polling, moves and hears; others are refused", { timeout: 120_000 }, async (t) => {
  const [allowed, foreign] = [await site(t), await site(t)];
  const server = await Server.start(["--symbols", "BTCUSDT"], { CLIENT_URL: allowed });
  t.after(() => server.kill());
  const browser = await launch();
  t.after(() => browser.close());

  const moved = await visit(browser, allowed, server.url, {});
  assert.deepEqual(moved.transports, ["polling", "websocket"]);
  assert.ok(moved.levels > 1 && moved.levels <= 50);
  // The handshake, what is joined, and what waits, at the least.
  assert.ok(moved.requests.includes("GET") && moved.requests.includes("POST") && moved.requests.length >= 3);
  assert.equal(moved.websockets.length, 1);
  for (const transport of ["polling", "websocket"]) {
    const alone = await visit(browser, allowed, server.url, { transports: [transport] });
    assert.deepEqual([alone.transports, alone.refused], [[transport], undefined]);
    assert.ok(alone.levels > 1);
    const refused = await visit(browser, foreign, server.url, { transports: [transport] });
    assert.deepEqual([refused.transports, refused.levels], [[], undefined], "nothing came through");
    assert.match(refused.refused, /^(xhr poll|websocket) error$/);
  }
  const refused = await visit(browser, foreign, server.url, {});
  assert.deepEqual([refused.transports, refused.refused], [[], "xhr poll error"]);
});
