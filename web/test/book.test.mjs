// The client's book against the test vectors of PROTOCOL.md, and against a model.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { load } from "./load.mjs";

const { Book, checksum } = await load("book.ts");
const page = await readFile(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
const blocks = (kind) => [...page.matchAll(new RegExp("```json " + kind + "\\n([\\s\\S]*?)```", "g"))].map((m) => m[1]);

test("checksums are those of the protocol's page", () => {
  const vectors = blocks("checksum").map((text) => JSON.parse(text));
  assert.ok(vectors.length >= 5);
  for (const vector of vectors) assert.equal(checksum(vector.asks, vector.bids), vector.checksum);
});

test("the page's own book messages lead from snapshot to delta to stale to snapshot", () => {
  const messages = blocks("stream").flatMap((text) => text.trim().split("\n")).map((line) => JSON.parse(line));
  const book = new Book();
  const became = messages.filter((message) => message.topic?.startsWith("book:") && message.type !== "error").map((m) => book.apply(m));
  assert.deepEqual(became, ["applied", "applied", "stale", "applied"]);
  assert.deepEqual([book.bids, book.asks, book.seq, book.good], [[["61600.00", "1"]], [["61601.00", "2"]], 58, true]);
});

const snapshot = (bids, asks, seq = 1) => ({
  type: "snapshot", topic: "book:X", epoch: "e", seq, ts: 0,
  data: { bids, asks, lastUpdateId: seq, time: 0, checksum: checksum(asks, bids) },
});

test("a delta that does not follow is not applied, and only a snapshot heals", () => {
  for (const wrong of [{ prevSeq: 0 }, { epoch: "f" }, { checksum: 1 }]) {
    const book = new Book();
    book.apply(snapshot([["1.0", "1"]], [["2.0", "1"]]));
    const { checksum: sum, ...head } = wrong;
    const delta = {
      type: "delta", topic: "book:X", epoch: "e", seq: 2, prevSeq: 1, ts: 0, ...head,
      data: { bids: [["1.1", "3"]], asks: [], lastUpdateId: 2, time: 0, checksum: sum ?? checksum([["2.0", "1"]], [["1.1", "3"], ["1.0", "1"]]) },
    };
    assert.equal(book.apply(delta), "broken");
    assert.equal(book.good, false);
    assert.equal(book.apply({ ...delta, epoch: "e", seq: 3, prevSeq: 2 }), "broken");
    assert.equal(book.apply(snapshot([["1.0", "1"]], [["2.0", "1"]], 9)), "applied");
    assert.equal(book.good, true);
  }
});

test("any deltas give what a map of levels gives", () => {
  let seed = 12345;
  const random = (below) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below;
  const book = new Book();
  const model = { bids: new Map(), asks: new Map() };
  const sorted = (side, way) => [...model[side]].sort(([a], [b]) => way * (Number(a) - Number(b)));
  book.apply(snapshot([], []));
  for (let seq = 2; seq < 3_000; seq += 1) {
    const change = { bids: [], asks: [] };
    for (let count = random(4); count >= 0; count -= 1) {
      const side = random(2) ? "bids" : "asks";
      const price = ((side === "bids" ? 900 : 1_000) + random(100)).toString() + ".50";
      if (change[side].some(([known]) => known === price)) continue;
      const quantity = random(3) ? `${random(50) + 1}.${random(1_000)}` : "0";
      change[side].push([price, quantity]);
      if (quantity === "0") model[side].delete(price);
      else model[side].set(price, quantity);
    }
    const [bids, asks] = [sorted("bids", -1), sorted("asks", 1)];
    const data = { ...change, lastUpdateId: seq, time: 0, checksum: checksum(asks, bids) };
    assert.equal(book.apply({ type: "delta", topic: "book:X", epoch: "e", seq, prevSeq: seq - 1, ts: 0, data }), "applied");
    assert.deepEqual([book.bids, book.asks], [bids, asks]);
  }
});
