// The client against a server that does everything wrong that a network can, with a clock of its own.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { load } from "./load.mjs";

const { Client, canonical, checksum } = await load("client.ts");

/** A socket whose other end is the test. */
class Socket {
  static all = [];
  sent = [];
  constructor(url) {
    this.url = url;
    Socket.all.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {}
  open() {
    this.onopen();
  }
  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  drop(reason = "") {
    this.onclose?.({ reason });
  }
  ops(op) {
    return this.sent.filter((message) => message.op === op);
  }
}

const settle = async () => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
};

async function started(t, options = {}) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_700_000_000_000 });
  t.after(() => mock.timers.reset());
  Socket.all = [];
  const problems = [];
  const client = new Client("ws://here/v1/ws", { socket: Socket, onProblem: (problem) => problems.push(problem), ...options });
  t.after(() => client.close());
  await settle();
  const next = async () => {
    const count = Socket.all.length;
    for (let step = 0; step < 200 && Socket.all.length === count; step += 1) {
      mock.timers.tick(100);
      await settle();
    }
    assert.equal(Socket.all.length, count + 1, "it connects again");
    const socket = Socket.all.at(-1);
    socket.open();
    return socket;
  };
  Socket.all[0].open();
  return { client, problems, socket: Socket.all[0], next };
}

const trade = (seq, more = {}) => ({ type: "update", topic: "trades:X", epoch: "e", seq, ts: 0, data: { tradeId: seq }, ...more });

const book = (type, seq, more = {}) => {
  const [bids, asks] = [[["1.0", "1"]], [["2.0", "1"]]];
  const data = { bids, asks, lastUpdateId: seq, time: 0, checksum: checksum(asks, bids) };
  return { type, topic: "book:X", epoch: "e", seq, ts: 0, prevSeq: seq - 1, data, ...more };
};

test("names are made canonical as the server makes them", () => {
  for (const [asked, name] of [
    ["book:BTCUSDT", "book:BTCUSDT"],
    ["book:BTCUSDT:full:raw", "book:BTCUSDT"],
    ["book:BTCUSDT:20", "book:BTCUSDT:20:raw"],
    ["book:BTCUSDT:100ms", "book:BTCUSDT:full:100ms"],
    ["book:A:B:5:1000ms", "book:A:B:5:1000ms"],
    ["ticker:BTCUSDT", "ticker:BTCUSDT"],
    ["ticker:BTCUSDT:1000ms", "ticker:BTCUSDT"],
    ["ticker:BTCUSDT:raw", "ticker:BTCUSDT:raw"],
    ["ticker:*", "ticker:*"],
    ["kline:A:B:1m", "kline:A:B:1m"],
  ])
    assert.equal(canonical(asked), name);
});

test("topics of one go are subscribed in one message, and left when nobody listens", async (t) => {
  const { client, socket } = await started(t);
  const stops = ["trades:X", "trades:X", "kline:X:1m"].map((topic) => client.subscribe(topic, () => {}));
  await settle();
  assert.deepEqual(socket.ops("subscribe").map((message) => message.topics), [["trades:X", "kline:X:1m"]]);
  stops[0]();
  assert.equal(socket.ops("unsubscribe").length, 0);
  stops[1]();
  assert.deepEqual(socket.ops("unsubscribe").map((message) => message.topics), [["trades:X"]]);
});

test("after a loss it comes back and names what it last heard, but not of books", async (t) => {
  const { client, socket, next } = await started(t);
  const heard = [];
  client.subscribe("trades:X", (message) => heard.push(message.seq));
  const states = [];
  client.book("book:X", ({ good }) => states.push(good));
  await settle();
  socket.say(trade(7));
  socket.say(book("snapshot", 3));
  socket.drop();
  assert.equal(client.state, "waiting");
  assert.deepEqual(states, [true, false], "a book of which nothing is heard is not the server's");
  socket.say(trade(8));
  const again = await next();
  assert.deepEqual(again.ops("subscribe").map(({ topics, since }) => ({ topics, since })), [
    { topics: ["trades:X", "book:X"], since: { "trades:X": { epoch: "e", seq: 7 } } },
  ]);
  again.say(trade(8));
  assert.deepEqual(heard, [7, 8], "what a lost socket says is not heard");
});

test("attempts come less and less often, and not before a server asks for them", async (t) => {
  const { socket, client } = await started(t, { backoff: { first: 1_000, longest: 8_000 } });
  socket.drop("retry in 5000 ms");
  mock.timers.tick(4_900);
  await settle();
  assert.equal(Socket.all.length, 1);
  mock.timers.tick(200);
  await settle();
  assert.equal(Socket.all.length, 2);
  const waits = [];
  for (let attempt = 0; attempt < 6; attempt += 1) {
    Socket.all.at(-1).drop();
    let waited = 0;
    for (const count = Socket.all.length; Socket.all.length === count; waited += 50) {
      mock.timers.tick(50);
      await settle();
    }
    waits.push(waited);
  }
  assert.ok(waits[0] >= 1_000 && waits.at(-1) >= 4_000 && Math.max(...waits) <= 8_050, String(waits));
  assert.equal(client.state, "connecting");
});

test("a connection on which nothing is answered is given up", async (t) => {
  const { client, socket, next } = await started(t);
  assert.equal(socket.ops("ping").length, 1);
  for (let second = 0; second < 10; second += 1) mock.timers.tick(1_000);
  assert.equal(client.state, "waiting");
  await next();
});

test("a book that does not add up is fetched anew, once", async (t) => {
  const { client, socket, problems } = await started(t);
  const good = [];
  client.book("book:X", (held) => good.push(held.good));
  await settle();
  socket.say(book("snapshot", 1));
  socket.say(book("delta", 3));
  socket.say(book("delta", 4));
  assert.deepEqual(good, [true, false]);
  assert.equal(problems.length, 1);
  assert.equal(problems[0].code, "BOOK_BROKEN");
  assert.deepEqual(socket.sent.slice(-2).map(({ op, topics }) => [op, topics]), [["unsubscribe", ["book:X"]], ["subscribe", ["book:X"]]]);
  socket.say(book("snapshot", 5));
  socket.say(book("delta", 6));
  assert.deepEqual(good, [true, false, true, true]);
});

test("a token is renewed before it expires, and at once when the server says that it did", async (t) => {
  const token = (seconds) => `h.${Buffer.from(JSON.stringify({ exp: Date.now() / 1_000 + seconds })).toString("base64url")}.s`;
  let asked = 0;
  const { client, socket } = await started(t, {
    token: () => {
      asked += 1;
      return token(60);
    },
  });
  assert.match(socket.url, /\?token=h\./);
  const wait = async (seconds) => {
    for (; seconds > 0; seconds -= 1) {
      mock.timers.tick(1_000);
      await settle();
      socket.say({ type: "ok", op: "ping", id: socket.ops("ping").at(-1).id, ts: Date.now() });
    }
  };
  await wait(28);
  assert.deepEqual([asked, socket.ops("auth").length], [1, 0]);
  await wait(3);
  assert.deepEqual([asked, socket.ops("auth").length], [2, 1], "half a minute before its end");
  const before = Socket.all.length;
  client.subscribe("orders", () => {});
  client.subscribe("strategy:7", () => {});
  client.subscribe("trades:X", () => {});
  await settle();
  socket.say({ type: "update", topic: "orders", epoch: "e", seq: 9, ts: 0, data: {} });
  const asks = socket.ops("subscribe").length;
  socket.say({ type: "ok", op: "auth", id: 1 });
  assert.equal(socket.ops("subscribe").length, asks, "nothing had ended");
  socket.say({ type: "error", code: "TOKEN_EXPIRED", message: "over" });
  await settle();
  assert.deepEqual([asked, socket.ops("auth").length, Socket.all.length], [3, 2, before]);
  socket.say({ type: "ok", op: "auth", id: 2 });
  const { topics, since } = socket.ops("subscribe").at(-1);
  assert.deepEqual([topics, since], [["orders", "strategy:7"], { orders: { epoch: "e", seq: 9 } }], "private topics go on where they were");
});

test("the last messages of a topic are asked for again", async (t) => {
  const { client, socket } = await started(t);
  client.recall("trades", 5);
  client.subscribe("trades", () => {});
  await settle();
  const before = socket.sent.length;
  client.recall("trades", 5);
  assert.equal(socket.sent.length, before, "nothing was heard yet");
  const picture = { type: "snapshot", topic: "trades", epoch: "e", ts: 0, data: { trades: [] } };
  for (const [seq, from] of [[20, 15], [3, 0]]) {
    socket.say({ ...picture, seq });
    client.recall("trades", 5);
    const [left, asked] = socket.sent.slice(-2);
    assert.deepEqual([left.op, left.topics], ["unsubscribe", ["trades"]]);
    assert.deepEqual([asked.op, asked.topics, asked.since], ["subscribe", ["trades"], { trades: { epoch: "e", seq: from } }]);
  }
});
