// Stock Socket.IO clients against both gateways: `node gateways.mjs URL TOKEN`.
import assert from "node:assert/strict";
import { io as newest } from "socket.io-client";
import { io as oldest } from "socket.io-client-oldest";

const [url, token] = process.argv.slice(2);
const PATIENCE = 15_000;

/** The first event of this name that fits. */
function heard(socket, name, fits = () => true) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} came`)), PATIENCE);
    socket.on(name, function listen(value) {
      if (!fits(value)) return;
      clearTimeout(timer);
      socket.off(name, listen);
      resolve(value);
    });
  });
}

/** The answer to an event that asks for one. */
function asked(socket, ...words) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${words[0]} was not answered`)), PATIENCE);
    socket.emit(...words, (answer) => (clearTimeout(timer), resolve(answer)));
  });
}

async function maven(io, options) {
  const socket = io(`${url}/ws`, { forceNew: true, ...options });
  const connected = await heard(socket, "connected");
  assert.equal(connected.clientId, socket.id);
  assert.equal(connected.userId, "u1");
  assert.equal(typeof connected.timestamp, "number");

  const first = heard(socket, "ticker.update");
  const told = heard(socket, "subscribed");
  const answer = await asked(socket, "subscribe", { channel: "ticker", symbol: "BTCUSDT" });
  assert.deepEqual(answer, await told);
  assert.deepEqual([answer.channel, answer.symbol, answer.room], ["ticker", "BTCUSDT", "ticker:BTCUSDT"]);
  const ticker = await first;
  assert.equal(ticker.room, "ticker:BTCUSDT");
  assert.match(ticker.data.lastPrice, /^\d+\.\d+$/);

  const all = heard(socket, "tickers.update");
  assert.equal((await asked(socket, "subscribe", { channel: "ticker", symbol: "all" })).room, "ticker:all");
  assert.ok(Array.isArray((await all).data));

  const book = heard(socket, "orderbook.update");
  await asked(socket, "subscribe", { channel: "orderbook", symbol: "BTCUSDT" });
  const whole = await book;
  assert.equal(whole.data.type, "snapshot");
  assert.ok(whole.data.bids.length > 1 && whole.data.bids.length <= 50);
  // Every one of them is whole.
  for (let at = 0; at < 3; at += 1) assert.equal((await heard(socket, "orderbook.update")).data.type, "snapshot");
  await asked(socket, "unsubscribe", { channel: "orderbook", symbol: "BTCUSDT" });
  await deltas(socket);

  const trade = heard(socket, "trade");
  await asked(socket, "subscribe", { channel: "trades", symbol: "BTCUSDT" });
  assert.equal((await trade).room, "trades:BTCUSDT");
  const bar = heard(socket, "kline.update");
  const klines = await asked(socket, "subscribe", { channel: "klines", symbol: "BTCUSDT", interval: "1m" });
  assert.equal(klines.room, "klines:BTCUSDT:1m");
  assert.equal((await bar).data.interval, "1m");

  for (const [words, code] of [
    [["subscribe", { channel: "nope" }], "UNKNOWN_TOPIC"],
    [["subscribe", { channel: "trades", symbol: "NOPE" }], "UNKNOWN_SYMBOL"],
    [["subscribe", { channel: "klines", symbol: "BTCUSDT", interval: "2m" }], "UNKNOWN_TOPIC"],
    [["subscribe", 7], "BAD_MESSAGE"],
    [["subscribe.private", { channel: "user.nope" }], "UNKNOWN_TOPIC"],
  ]) {
    const error = heard(socket, "error", (error) => error.code === code);
    assert.equal((await asked(socket, ...words)).code, code);
    assert.ok((await error).message.length > 5);
  }
  const own = await asked(socket, "subscribe.private", { channel: "user.orders" });
  assert.equal(own.room, "user:u1:orders");
  assert.equal(typeof (await asked(socket, "ping")).timestamp, "number");
  assert.ok(socket.connected, "errors disconnect nobody");
  socket.close();
}

/** One snapshot, then changes that follow on each other. */
async function deltas(socket) {
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

async function tradewithai(io, options) {
  const socket = io(url, { forceNew: true, ...options });
  const count = heard(socket, "connection-count");
  const connected = await heard(socket, "connected");
  assert.equal(connected.clientId, socket.id);
  assert.equal(connected.userId, "u1");
  assert.match(connected.timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.ok((await count).count >= 1);

  const names = ["ticker:update", "price:update", "orderbook:update", "trade:executed", "candle:update"];
  const data = names.map((name) => heard(socket, name));
  const symbols = ["BTC/USD", "BTCUSDT"];
  const answer = await asked(socket, "subscribe", { channel: "market-data", symbols });
  assert.deepEqual([answer.symbols, answer.room], [symbols, "market-data:BTC/USD,BTCUSDT"]);
  const [ticker, price, book, trade, candle] = await Promise.all(data);
  assert.ok(ticker.ticker.last && price.price && trade.tradeId && candle.interval === "1m");
  assert.ok(book.orderBook.bids.length > 1 && book.orderBook.bids.length <= 50);
  const flat = heard(socket, "ticker:update", (ticker) => ticker.last !== undefined);
  await asked(socket, "subscribe", { channel: "market-data" });
  await flat;
  for (const channel of ["trading", "llm"]) await asked(socket, "subscribe", { channel });
  const listed = await asked(socket, "get-subscriptions");
  assert.deepEqual(listed.subscriptions, ["market-data:BTC/USD", "market-data:BTCUSDT", "market-data", "trading", "llm"]);
  assert.equal(listed.count, 5);
  await asked(socket, "unsubscribe", { channel: "market-data", symbols: ["BTC/USD"] });
  assert.equal((await asked(socket, "get-subscriptions")).count, 4);
  assert.equal((await asked(socket, "subscribe", { channel: "nope" })).code, "UNKNOWN_TOPIC");
  assert.equal((await asked(socket, "subscribe", { channel: "market-data", symbols: ["NOPE"] })).code, "UNKNOWN_SYMBOL");
  // Sixty messages a minute: these were nine.
  for (let sent = 9; sent < 60; sent += 1) assert.ok((await asked(socket, "ping")).timestamp);
  assert.equal((await asked(socket, "ping")).code, "RATE_LIMITED");
  assert.ok(socket.connected);
  socket.close();
}

/** Who may not come in is told so, and the stock client does not try for ever. */
async function refused(io, path, options, code) {
  const socket = io(`${url}${path}`, { forceNew: true, ...options });
  const error = await heard(socket, "connect_error");
  assert.equal(error.data?.code, code);
  assert.match(error.message, /UNAUTHORIZED/);
  socket.close();
}

const TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]];
for (const [version, io] of [["4.8.4", newest], ["4.0.0", oldest]]) {
  for (const transports of TRANSPORTS) {
    await maven(io, { transports, auth: { token } });
    await tradewithai(io, { transports, auth: { token } });
    for (const path of ["/", "/ws"]) await refused(io, path, { transports, auth: { token: "wrong" } }, "UNAUTHORIZED");
    await refused(io, "/", { transports }, "UNAUTHORIZED");
    console.log(`ok: socket.io-client ${version} over ${transports.join(", ")}`);
  }
  const places = [{ query: { token } }, { extraHeaders: { Authorization: `Bearer ${token}` } }];
  for (const place of places) {
    const socket = io(`${url}/ws`, { forceNew: true, ...place });
    assert.equal((await heard(socket, "connected")).userId, "u1");
    socket.close();
  }
  const nobody = io(`${url}/ws`, { forceNew: true });
  assert.equal((await heard(nobody, "connected")).userId, null);
  assert.equal((await asked(nobody, "subscribe.private", { channel: "user.orders" })).code, "UNAUTHORIZED");
  nobody.close();
  // Two namespaces share one connection.
  const pair = [io(url, { auth: { token } }), io(`${url}/ws`, { auth: { token } })];
  await Promise.all(pair.map((socket) => heard(socket, "connected")));
  assert.equal(pair[0].io, pair[1].io);
  pair.forEach((socket) => socket.close());
  console.log(`ok: socket.io-client ${version}, tokens in each place, and two namespaces over one connection`);
}
process.exit(0);
