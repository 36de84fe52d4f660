// Stock clients of both gateways: they come in, subscribe, hear, leave, and are told what was wrong.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { agreed, asked, CLIENTS, fault, heard, market, refused } from "./stock.mjs";

let server, folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tickcast-"));
  server = await market(folder);
});
after(async () => {
  await server.kill();
  await rm(folder, { recursive: true });
});

/** The three places of a token, as options and what stands behind the address. */
const places = (token) => [
  [{ auth: { token } }, ""],
  [{}, `?token=${token}`],
  [{ extraHeaders: { Authorization: `Bearer ${token}` } }, ""],
];

describe("stock clients", { concurrency: true }, () => {
  CLIENTS.forEach(({ name, io }, at) => {
    test(`maven: ${name}`, async () => {
      const user = `maven-${at}`;
      const socket = io(`${server.url}/ws`, { auth: { token: await server.token(user) } });
      const connected = await heard(socket, "connected");
      assert.deepEqual([connected.clientId, connected.userId, typeof connected.timestamp], [socket.id, user, "number"]);
      await mavenMarket(socket);
      await mavenUser(socket, user);
      assert.equal(await fault(socket, "subscribe", { channel: "nope" }), "UNKNOWN_TOPIC");
      assert.equal(await fault(socket, "subscribe", { channel: "trades", symbol: "NOPE" }), "UNKNOWN_SYMBOL");
      assert.equal(await fault(socket, "subscribe", { channel: "klines", symbol: "BTCUSDT", interval: "2m" }), "UNKNOWN_TOPIC");
      assert.equal(await fault(socket, "subscribe", 7), "BAD_MESSAGE");
      assert.equal(await fault(socket, "subscribe.private", { channel: "user.nope" }), "UNKNOWN_TOPIC");
      assert.equal(typeof (await agreed(socket, "pong", "ping")).timestamp, "number");
      socket.close();
    });

    test(`tradewithai: ${name}`, async () => {
      const user = `trader-${at}`;
      const socket = io(server.url, { auth: { token: await server.token(user) } });
      const count = heard(socket, "connection-count");
      const connected = await heard(socket, "connected");
      assert.deepEqual([connected.clientId, connected.userId], [socket.id, user]);
      assert.match(connected.timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      assert.ok((await count).count >= 1);
      await tradewithaiMarket(socket);
      await tradewithaiUser(socket, user);
      assert.equal(await fault(socket, "subscribe", { channel: "nope" }), "UNKNOWN_TOPIC");
      assert.equal(await fault(socket, "subscribe", { channel: "market-data", symbols: ["NOPE"] }), "UNKNOWN_SYMBOL");
      // Sixty messages a minute: these were eight.
      for (let sent = 8; sent < 60; sent += 1) assert.ok((await asked(socket, "ping")).timestamp);
      assert.equal(await fault(socket, "ping"), "RATE_LIMITED");
      socket.close();
    });

    test(`tokens: ${name}`, async () => {
      const right = await server.token("u1");
      for (const path of ["/", "/ws"]) {
        for (const [options, query] of places(right)) {
          const socket = io(`${server.url}${path}${query}`, options);
          assert.equal((await heard(socket, "connected")).userId, "u1");
          socket.close();
        }
        for (const token of ["wrong", server.expired("u1")]) {
          for (const [options, query] of places(token)) await refused(io(`${server.url}${path}${query}`, options));
        }
      }
      await refused(io(server.url));
      const nobody = io(`${server.url}/ws`);
      assert.equal((await heard(nobody, "connected")).userId, null);
      assert.equal(await fault(nobody, "subscribe.private", { channel: "user.orders" }), "UNAUTHORIZED");
      nobody.close();
    });

    test(`two namespaces over one connection: ${name}`, async () => {
      const auth = { token: await server.token("u2") };
      const main = io(server.url, { auth });
      const maven = main.io.socket("/ws", { auth });
      const both = [heard(main, "connected"), heard(maven, "connected")];
      maven.connect();
      for (const connected of await Promise.all(both)) assert.equal(connected.userId, "u2");
      // One of them goes, the other stays.
      maven.disconnect();
      assert.ok((await asked(main, "ping")).timestamp);
      main.close();
    });
  });
});

async function mavenMarket(socket) {
  const first = heard(socket, "ticker.update");
  const ticker = await agreed(socket, "subscribed", "subscribe", { channel: "ticker", symbol: "BTCUSDT" });
  assert.deepEqual([ticker.channel, ticker.symbol, ticker.room], ["ticker", "BTCUSDT", "ticker:BTCUSDT"]);
  const { room, data } = await first;
  assert.equal(room, "ticker:BTCUSDT");
  assert.match(data.lastPrice, /^\d+\.\d+$/);
  const all = heard(socket, "tickers.update");
  assert.equal((await asked(socket, "subscribe", { channel: "ticker", symbol: "all" })).room, "ticker:all");
  assert.ok(Array.isArray((await all).data));
  assert.equal((await agreed(socket, "unsubscribed", "unsubscribe", { channel: "ticker", symbol: "all" })).room, "ticker:all");

  // Every one of them is whole.
  await asked(socket, "subscribe", { channel: "orderbook", symbol: "BTCUSDT" });
  for (let at = 0; at < 3; at += 1) {
    const { data } = await heard(socket, "orderbook.update");
    assert.equal(data.type, "snapshot");
    assert.ok(data.bids.length > 1 && data.bids.length <= 50);
  }
  await asked(socket, "unsubscribe", { channel: "orderbook", symbol: "BTCUSDT" });
  await mavenDeltas(socket);

  const trade = heard(socket, "trade");
  await asked(socket, "subscribe", { channel: "trades", symbol: "BTCUSDT" });
  assert.equal((await trade).room, "trades:BTCUSDT");
  const bar = heard(socket, "kline.update");
  const klines = await agreed(socket, "subscribed", "subscribe", { channel: "klines", symbol: "BTCUSDT", interval: "1m" });
  assert.equal(klines.room, "klines:BTCUSDT:1m");
  assert.equal((await bar).data.interval, "1m");
}

/** One snapshot, then changes that follow on each other. */
async function mavenDeltas(socket) {
  const books = [];
  socket.on("orderbook.update", (book) => books.push(book.data));
  await asked(socket, "subscribe", { channel: "orderbook", symbol: "BTCUSDT", mode: "delta" });
  while (books.length < 5) await heard(socket, "orderbook.update");
  socket.off("orderbook.update");
  assert.equal(books[0].type, "snapshot");
  books.slice(1).forEach((book, at) => {
    assert.equal(book.type, "delta");
    assert.equal(book.prevUpdateId, books[at].lastUpdateId);
    assert.ok(book.firstUpdateId <= book.lastUpdateId && Number.isInteger(book.checksum));
  });
  await asked(socket, "unsubscribe", { channel: "orderbook", symbol: "BTCUSDT", mode: "delta" });
}

async function mavenUser(socket, user) {
  const answer = await agreed(socket, "subscribed", "subscribe.private", { channel: "user.orders" });
  assert.equal(answer.room, `user:${user}:orders`);
  const [order, hello] = [heard(socket, "order.created"), heard(socket, "hello")];
  await server.publish(
    { type: "order.created", userId: "somebody else", data: { orderId: "0" } },
    { type: "order.created", userId: user, data: { orderId: "1", price: "45000.00" } },
    { userId: user, event: "hello", data: { to: user } },
  );
  const { room, data } = await order;
  assert.deepEqual([room, data], [`user:${user}:orders`, { orderId: "1", price: "45000.00" }]);
  assert.deepEqual((await hello).data, { to: user });
  await agreed(socket, "unsubscribed", "unsubscribe.private", { channel: "user.orders" });
}

/** Six messages. */
async function tradewithaiMarket(socket) {
  const names = ["ticker:update", "price:update", "orderbook:update", "trade:executed", "candle:update"];
  // A market that has just begun has not traded yet.
  const data = names.map((name) => heard(socket, name, ({ ticker }) => !ticker || ticker.last));
  const symbols = ["BTC/USD", "BTCUSDT"];
  const answer = await agreed(socket, "subscribed", "subscribe", { channel: "market-data", symbols });
  assert.deepEqual([answer.symbols, answer.room], [symbols, "market-data:BTC/USD,BTCUSDT"]);
  const [ticker, price, book, trade, candle] = await Promise.all(data);
  assert.ok(ticker.ticker.last && price.price && trade.tradeId !== undefined && candle.interval === "1m");
  assert.ok(book.orderBook.bids.length > 1 && book.orderBook.bids.length <= 50);
  const flat = heard(socket, "ticker:update", (ticker) => ticker.last !== undefined);
  await asked(socket, "subscribe", { channel: "market-data" });
  await flat;
  for (const channel of ["trading", "llm"]) await asked(socket, "subscribe", { channel });
  const listed = await agreed(socket, "subscriptions", "get-subscriptions");
  assert.deepEqual(listed.subscriptions, ["market-data:BTC/USD", "market-data:BTCUSDT", "market-data", "trading", "llm"]);
  assert.equal(listed.count, 5);
  await agreed(socket, "unsubscribed", "unsubscribe", { channel: "market-data", symbols: ["BTC/USD"] });
}

async function tradewithaiUser(socket, user) {
  // One's own fill comes as one's own and as everybody's; another's comes as everybody's.
  const fills = [];
  socket.on("order:filled", (fill) => fill.side.endsWith(user) && fills.push(fill));
  const chunk = heard(socket, "llm:stream");
  const last = heard(socket, "order:filled", ({ side }) => side === `not ${user}`);
  const fill = { orderId: "1", symbol: "BTCUSDT", side: user, price: "1.00", filledPrice: "1.50" };
  await server.publish(
    { type: "llm.chunk", userId: user, data: { provider: "p", chunk: "be", done: false } },
    { type: "order.filled", userId: user, data: fill },
    { type: "order.filled", userId: "somebody else", data: { ...fill, orderId: "2", side: `not ${user}` } },
  );
  await last;
  const copy = { symbol: "BTCUSDT", side: user, price: "1.50" };
  assert.deepEqual(fills, [fill, copy, { ...copy, side: `not ${user}` }]);
  assert.deepEqual(await chunk, { provider: "p", chunk: "be", done: false });
}
