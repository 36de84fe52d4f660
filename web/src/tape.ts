// The last trades, newest first.

import { find, make, name, say } from "./dom.js";
import { clock, grouped, quantity } from "./format.js";
import { soon } from "./frames.js";
import type { Trade } from "./messages.js";

export class Tape {
  private readonly rows: { row: HTMLElement; price: HTMLElement; amount: HTMLElement; time: HTMLElement }[];
  /** Newest last. */
  private trades: Trade[] = [];

  constructor() {
    const list = find("tape");
    // All rows are there from the start and stay where they are: only their texts change, and nothing moves.
    this.rows = Array.from({ length: ROWS }, () => {
      const [row, price, amount, time] = [make("div", "row"), make("span", "price"), make("span", "amount"), make("span", "time")];
      row.append(price, amount, time);
      list.append(row);
      return { row, price, amount, time };
    });
  }

  isEmpty(): boolean {
    return this.trades.length === 0;
  }

  add(trades: readonly Trade[]): void {
    this.trades.push(...trades);
    if (this.trades.length > 2 * ROWS) this.trades.splice(0, this.trades.length - ROWS);
    soon(this.draw);
  }

  clear(): void {
    this.trades = [];
    soon(this.draw);
  }

  private readonly draw = (): void => {
    this.rows.forEach(({ row, price, amount, time }, at) => {
      const trade = this.trades.at(-1 - at);
      name(row, trade?.side === "SELL" ? "row ask" : trade?.side === "BUY" ? "row bid" : "row");
      say(price, trade ? grouped(trade.price) : "");
      say(amount, trade ? quantity(trade.quantity) : "");
      say(time, trade ? clock(trade.time) : "");
    });
  };
}

const ROWS = 40;
