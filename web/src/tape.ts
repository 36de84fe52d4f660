// The last trades, newest first.

import { find, make, say } from "./dom.js";
import { clock, grouped, quantity } from "./format.js";
import { soon } from "./frames.js";
import type { Trade } from "./messages.js";

export class Tape {
  private readonly list = find("tape");
  private waiting: Trade[] = [];
  private empty = true;

  constructor() {
    // All rows are there from the start and go round: nothing is made or thrown away while it runs.
    for (let at = 0; at < ROWS; at += 1) {
      const row = make("div", "row");
      row.append(make("span", "price"), make("span", "amount"), make("span", "time"));
      this.list.append(row);
    }
  }

  isEmpty(): boolean {
    return this.empty;
  }

  add(trades: readonly Trade[]): void {
    this.empty &&= trades.length === 0;
    this.waiting.push(...trades.slice(-ROWS));
    // A page that is not looked at draws no frames.
    if (this.waiting.length > 2 * ROWS) this.waiting.splice(0, this.waiting.length - ROWS);
    soon(this.draw);
  }

  clear(): void {
    this.waiting = [];
    this.empty = true;
    for (const row of this.list.children) {
      row.className = "row";
      for (const cell of row.children) say(cell as HTMLElement, "");
    }
  }

  private readonly draw = (): void => {
    for (const trade of this.waiting.slice(-ROWS)) {
      const row = this.list.lastElementChild as HTMLElement;
      const [price, amount, time] = row.children as unknown as [HTMLElement, HTMLElement, HTMLElement];
      row.className = trade.side === "SELL" ? "row ask" : trade.side === "BUY" ? "row bid" : "row";
      say(price, grouped(trade.price));
      say(amount, quantity(trade.quantity));
      say(time, clock(trade.time));
      this.list.prepend(row);
    }
    this.waiting = [];
  };
}

const ROWS = 40;
