// The book as a ladder: asks above, bids below, each row with the depth up to it as a bar.

import type { Book } from "./book.js";
import { find, make, name, say } from "./dom.js";
import { grouped, quantity } from "./format.js";
import { soon } from "./frames.js";
import type { Level } from "./messages.js";

interface Row {
  row: HTMLElement;
  price: HTMLElement;
  amount: HTMLElement;
  total: HTMLElement;
  bar: HTMLElement;
  share: number;
}

export class Ladder {
  private readonly ladder = find("ladder");
  private readonly asks: Row[];
  private readonly bids: Row[];
  private readonly middle = find("spread");
  private readonly last = find("last");
  private book: Book | undefined;
  private lastPrice = "";
  private lastWay = "";

  constructor() {
    // Asks stand worst first, so that both best prices are in the middle.
    this.asks = rows(find("asks"), "ask").reverse();
    this.bids = rows(find("bids"), "bid");
  }

  /** Shows this book from the next frame on. */
  show(book: Book): void {
    this.book = book;
    soon(this.draw);
  }

  /** Shows nothing until another book comes. */
  clear(): void {
    this.book = undefined;
    this.lastPrice = "";
    this.lastWay = "";
    soon(this.draw);
  }

  traded(price: string): void {
    if (this.lastPrice && price !== this.lastPrice) this.lastWay = Number(price) > Number(this.lastPrice) ? "up" : "down";
    this.lastPrice = price;
    soon(this.draw);
  }

  private readonly draw = (): void => {
    const book = this.book;
    const asks = book?.asks ?? [];
    const bids = book?.bids ?? [];
    const most = Math.max(depth(asks, this.asks.length), depth(bids, this.bids.length));
    fill(this.asks, asks, most);
    fill(this.bids, bids, most);
    say(this.middle, spread(asks[0], bids[0]));
    say(this.last, grouped(this.lastPrice || undefined));
    name(this.last, this.lastWay);
    this.ladder.dataset["state"] = !book ? "empty" : book.good ? "good" : "stale";
    this.ladder.dataset["update"] = String(book?.lastUpdateId ?? 0);
  };
}

function rows(side: HTMLElement, kind: string): Row[] {
  return Array.from({ length: ROWS }, () => {
    const row = make("div", `row ${kind}`);
    const [bar, price, amount, total] = [make("i"), make("span", "price"), make("span", "amount"), make("span", "total")];
    row.append(bar, price, amount, total);
    side.append(row);
    return { row, price, amount, total, bar, share: -1 };
  });
}

/** The sum of what is shown; for the bars alone, so that floats do. */
function depth(levels: readonly Level[], rows: number): number {
  let sum = 0;
  for (let at = 0; at < Math.min(levels.length, rows); at += 1) sum += Number(levels[at]![1]);
  return sum;
}

function fill(rows: Row[], levels: readonly Level[], most: number): void {
  let sum = 0;
  rows.forEach((row, at) => {
    const level = levels[at];
    sum += level ? Number(level[1]) : 0;
    say(row.price, level ? grouped(level[0]) : "");
    say(row.amount, level ? quantity(level[1]) : "");
    say(row.total, level ? quantity(sum.toFixed(4)) : "");
    const share = level && most > 0 ? Math.round((sum / most) * 500) / 500 : 0;
    if (share !== row.share) {
      row.share = share;
      // A transform is drawn without laying anything out.
      row.bar.style.transform = `scaleX(${share})`;
    }
  });
}

function spread(ask: Level | undefined, bid: Level | undefined): string {
  if (!ask || !bid) return "–";
  const places = (ask[0].split(".")[1] ?? "").length;
  const gap = Number(ask[0]) - Number(bid[0]);
  return `${gap.toFixed(places)} · ${((gap / Number(ask[0])) * 10_000).toFixed(2)} bp`;
}

/** Levels shown of each side. */
export const ROWS = 14;
