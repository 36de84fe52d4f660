// A book as PROTOCOL.md says a client keeps it: from a snapshot and deltas, proved by sequence and checksum.

import type { Level, StreamMessage } from "./messages.js";

/** What became of a message. After `broken` the book is not good until the next snapshot. */
export type Applied = "applied" | "stale" | "broken";

/** One side, best first. Prices of a symbol all have the same number of decimals. */
class Side {
  readonly levels: Level[] = [];
  private readonly keys: number[] = [];

  /** `sign` makes the best price the smallest key: -1 for bids, 1 for asks. */
  constructor(private readonly sign: 1 | -1) {}

  clear(): void {
    this.levels.length = 0;
    this.keys.length = 0;
  }

  set(level: Level): void {
    const key = Number(level[0]) * this.sign;
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    const found = this.keys[low] === key;
    if (level[1] === "0") {
      if (found) {
        this.keys.splice(low, 1);
        this.levels.splice(low, 1);
      }
    } else if (found) {
      this.levels[low] = level;
    } else {
      this.keys.splice(low, 0, key);
      this.levels.splice(low, 0, level);
    }
  }
}

export class Book {
  private readonly bidSide = new Side(-1);
  private readonly askSide = new Side(1);
  /** Whether it is the server's book. */
  good = false;
  epoch = "";
  seq = 0;
  lastUpdateId = 0;
  /** The source's time of the last update in it. */
  time = 0;

  /** Best first. Not to be changed, and only valid until the next message. */
  get bids(): readonly Level[] {
    return this.bidSide.levels;
  }

  get asks(): readonly Level[] {
    return this.askSide.levels;
  }

  /** Takes a message of the book's topic in. */
  apply(message: StreamMessage): Applied {
    if (message.type === "stale") {
      this.good = false;
      return "stale";
    }
    if (message.type === "snapshot") {
      this.bidSide.clear();
      this.askSide.clear();
    } else if (!this.good || message.epoch !== this.epoch || message.prevSeq !== this.seq) {
      this.good = false;
      return "broken";
    }
    const data = message.data as BookData;
    for (const level of data.bids) this.bidSide.set(level);
    for (const level of data.asks) this.askSide.set(level);
    this.epoch = message.epoch;
    this.seq = message.seq;
    this.lastUpdateId = data.lastUpdateId;
    this.time = data.time;
    this.good = checksum(this.asks, this.bids) === data.checksum;
    return this.good ? "applied" : "broken";
  }
}

interface BookData {
  bids: Level[];
  asks: Level[];
  lastUpdateId: number;
  time: number;
  checksum: number;
}

/** CRC-32 of the best ten levels, Kraken's way; see "The checksum" in PROTOCOL.md. */
export function checksum(asks: readonly Level[], bids: readonly Level[]): number {
  let crc = 0xffffffff;
  for (const side of [asks, bids]) {
    const depth = Math.min(side.length, 10);
    for (let at = 0; at < depth; at += 1) {
      crc = digits(crc, side[at]![0]);
      crc = digits(crc, side[at]![1]);
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A number's text without the point and without leading zeros. */
function digits(crc: number, text: string): number {
  let leading = true;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 46 || (leading && code === 48)) continue;
    leading = false;
    crc = CRC[(crc ^ code) & 0xff]! ^ (crc >>> 8);
  }
  return crc;
}

const CRC = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
