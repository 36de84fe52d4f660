// The client examples of the documents that the gateways come from, run as they stand there but for
// the address and the token. The documents are not part of the project: without them this is skipped.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { transformSync } from "esbuild";
import { act, create } from "react-test-renderer";

import { Server, until } from "../browser/server.mjs";
import { market } from "./stock.mjs";

const FOLDER = new URL("../../../shared/seeds/", import.meta.url);
const skip = existsSync(FOLDER) ? false : `SKIPPED: no documents at ${FOLDER.pathname}`;
const require = createRequire(import.meta.url);
const react = require("react");
const { io } = require("socket.io-client");
globalThis.IS_REACT_ACT_ENVIRONMENT = true;

/** The code below a heading of the document whose name begins like this. */
function example(document, heading, number = 0) {
  const name = readdirSync(FOLDER).find((name) => name.startsWith(document));
  const text = readFileSync(new URL(name, FOLDER), "utf8");
  const from = text.indexOf(`${heading}\n`);
  assert.ok(from >= 0, `${name} has ${heading}`);
  const blocks = [...text.slice(from).matchAll(/```(?:javascript|typescript|tsx)\n([\s\S]*?)```/g)];
  return blocks[number][1];
}

/** One run of an example: what it wrote, the sockets that it opened, what it can be asked for. */
class Run {
  said = [];
  sockets = [];
  timers = [];

  constructor(server, token, code, { given = {}, wanted = [] } = {}) {
    const there = code
      .replaceAll(/(ws|http):\/\/localhost:3000/g, `$1://127.0.0.1:${server.port}`)
      .replaceAll(/your-jwt-token(-here)?|eyJ[^']*/g, token);
    const exported = wanted.map((name) => `exports.${name} = ${name};`).join("\n");
    const { code: script } = transformSync(`${there}\n${exported}`, { loader: "tsx", format: "cjs", jsx: "automatic" });
    const around = {
      exports: {},
      require: (name) => (name === "socket.io-client" ? { io: (...words) => this.#open(words) } : require(name)),
      console: { log: (...words) => this.said.push(words), error: (...words) => this.said.push(words) },
      // Half a minute is long.
      setInterval: (ring, period) => this.timers.push(setInterval(ring, period / 100)),
      // Pieces of code rely on what stands further up.
      ...(!/\{ io\b/.test(code) && { io: (...words) => this.#open(words) }),
      ...given,
    };
    const module = { exports: around.exports };
    new Function("module", ...Object.keys(around), script)(module, ...Object.values(around));
    this.exports = { ...around.exports, ...module.exports };
  }

  #open(words) {
    const socket = io(...words);
    this.sockets.push(socket);
    return socket;
  }

  /** Waits until it has written this, and returns what it wrote behind it. */
  writes(begin, fits = () => true) {
    return until(`"${begin}" is written, and not only ${JSON.stringify(this.said.slice(-5))}`, () => {
      const found = this.said.find(([text, value]) => text === begin && fits(value));
      return found && { value: found[1] };
    }).then(({ value }) => value);
  }

  end() {
    this.timers.forEach(clearInterval);
    this.sockets.forEach((socket) => socket.close());
  }
}

describe("the examples of the documents", { skip }, () => {
  let server, developer, folder, token;
  const runs = [];
  const run = (...words) => (runs.push(new Run(server, token, ...words)), runs.at(-1));

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tickcast-"));
    server = await market(folder);
    developer = await Server.start(["--dev"]);
    token = await server.token("123");
  });
  after(async () => {
    runs.forEach((run) => run.end());
    await server.kill();
    await developer.kill();
    await rm(folder, { recursive: true });
  });

  describe("Maven", () => {
    test("public channels", async () => {
      const client = run(example("003", "#### Connect and Subscribe to Public Channels"));
      assert.equal((await client.writes("Connected to WebSocket:")).userId, null);
      assert.equal((await client.writes("New trade:")).symbol, "BTCUSDT");
      assert.equal((await client.writes("Kline update:")).interval, "1m");
      const book = await client.writes("Order book update:");
      assert.ok(book.bids.length > 1 && book.asks.length > 1 && book.lastUpdateId > 0);
    });

    test("private channels", async () => {
      const client = run(example("003", "#### Subscribe to Private Channels (Authenticated)"));
      const joined = [];
      client.sockets[0].on("subscribed", ({ room }) => joined.push(room));
      await until("all rooms are joined", () => joined.length === 3);
      assert.deepEqual(joined, ["user:123:orders", "user:123:trades", "user:123:balances"]);
      const told = [
        ["order.created", "Order created:"],
        ["order.filled", "Order filled:"],
        ["order.cancelled", "Order cancelled:"],
        ["trade.executed", "Trade executed:"],
        ["balance.updated", "Balance updated:"],
        ["balance.locked", "Balance locked:"],
      ];
      for (const [type, says] of told) {
        const data = { orderId: "1", tradeId: "1", walletId: "w", currency: "USD", says };
        await server.publish({ type, userId: "123", data });
        assert.deepEqual(await client.writes(says), data);
      }
      client.sockets[0].emit("subscribe", { channel: "nope" });
      assert.equal((await client.writes("WebSocket error:")).code, "UNKNOWN_TOPIC");
    });

    test("the three places of a token, and pings", async () => {
      for (let place = 0; place < 3; place += 1) {
        const client = run(example("003", "### Private Channels", place), { wanted: ["socket"] });
        const { socket } = client.exports;
        const { userId } = await new Promise((connected) => socket.on("connected", connected));
        assert.equal(userId, "123");
        const pings = run(example("003", "#### Ping/Pong for Connection Health"), { given: { socket } });
        assert.equal(typeof (await pings.writes("Pong received:")), "number");
      }
    });

    test("the React hook and component", async () => {
      const { exports } = run(example("003", "### React Example"), { wanted: ["TradingView"] });
      const shown = await mount(exports.TradingView, { symbol: "BTCUSDT" });
      const text = () => JSON.stringify(shown.toJSON());
      await rendered("the ticker is shown", () => /"Ticker: ","\d+\.\d+"/.test(text()));
      await rendered("the book is shown", () => /"Bids: ","([2-9]|\d\d)"/.test(text()) && /"Asks: ","([2-9]|\d\d)"/.test(text()));
      await act(async () => shown.unmount());
    });
  });

  describe("TradeWithAI", () => {
    for (const [document, heading] of [["001", "### Manual Testing with Node.js"], ["002", "### Manual Testing with Socket.IO Client"]]) {
      test(`the Node snippet of ${document}`, async () => {
        const client = run(example(document, heading));
        await client.writes("Connected:", (id) => id === client.sockets[0].id);
        const subscribed = await client.writes("Subscribed:");
        assert.deepEqual([subscribed.channel, subscribed.room], ["trading", "trading"]);
        assert.match((await client.writes("Pong:")).timestamp, /Z$/);
        if (document === "001") {
          await server.publish({ type: "order.filled", userId: "8", data: { symbol: "BTC/USD", side: "BUY", price: "1.50" } });
          assert.deepEqual(await client.writes("Order filled:"), { symbol: "BTC/USD", side: "BUY", price: "1.50" });
        } else {
          assert.equal((await client.writes("Welcome:")).userId, "123");
          assert.deepEqual((await client.writes("My subscriptions:")).subscriptions, ["trading"]);
        }
      });
    }

    test("channels, events and leaving", async () => {
      const { exports } = run(example("001", "### JWT Token"), { wanted: ["socket"] });
      const given = { given: exports };
      const events = run(example("001", "### Listen for Events"), given);
      const channels = run(example("001", "### Subscribe to Channels"), given);
      for (const channel of ["trading", "market-data", "llm"]) await channels.writes("Subscribed to:", (to) => to === channel);
      await events.writes("Ticker update:", ({ symbol }) => symbol === "ETH/USD");
      await events.writes("Order book update:", ({ symbol }) => symbol === "BTC/USD");
      const told = [
        ["order.filled", "Order filled:"],
        ["position.updated", "Position updated:"],
        ["balance.updated", "Balance updated:"],
        ["llm.chunk", "LLM chunk:"],
      ];
      for (const [type, says] of told) {
        const data = { orderId: "2", positionId: "1", currency: "USD", chunk: says };
        await server.publish({ type, userId: "123", data });
        assert.deepEqual(await events.writes(says, (value) => value.chunk === says), data);
      }
      const left = new Promise((left) => exports.socket.on("unsubscribed", left));
      run(example("001", "### Unsubscribe from Channels"), given);
      assert.deepEqual((await left).symbols, ["BTC/USD"]);
    });

    test("without a token, in development and only there", async () => {
      for (const code of [example("001", "### Development Mode"), example("002", "### Development Mode Testing")]) {
        const there = new Run(developer, token, code, { wanted: ["socket"] });
        const { userId } = await new Promise((connected) => there.exports.socket.on("connected", connected));
        assert.equal(userId, "test-user-id");
        there.end();
        const here = run(code, { wanted: ["socket"] });
        const error = await new Promise((refused) => here.exports.socket.on("connect_error", refused));
        assert.equal(error.data.code, "UNAUTHORIZED");
      }
    });

    test("the React hooks", async () => {
      const readme = run(example("001", "### Socket.IO Client Setup"));
      const story = example("002", "### Socket.IO Client Setup");
      const component = example("002", "### Socket.IO Client Setup", 1);
      const page = run(`${story}\n${component}`, { given: { token }, wanted: ["MarketDataComponent"] });
      const Shown = () => String(readme.exports.useWebSocket(token).connected);
      const hook = await mount(Shown);
      await rendered("the hook is connected", () => hook.toJSON() === "true");
      await readme.writes("Connected:");
      await act(async () => hook.unmount());

      const market = await mount(page.exports.MarketDataComponent);
      assert.equal((await page.writes("Welcome:")).userId, "123");
      assert.deepEqual((await page.writes("Subscribed:")).symbols, ["BTC/USD", "ETH/USD"]);
      assert.match((await page.writes("Price update:", ({ symbol }) => symbol === "ETH/USD")).price, /^\d+(\.\d+)?$/);
      await act(async () => market.unmount());
      assert.ok(!page.sockets[0].connected);
    });
  });
});

async function mount(component, properties) {
  let shown;
  await act(async () => (shown = create(react.createElement(component, properties))));
  return shown;
}

/** Lets React catch up with what its sockets heard until something holds. */
function rendered(what, holds) {
  return until(what, async () => {
    await act(async () => {});
    return holds();
  });
}
