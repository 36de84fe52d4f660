// The strip of all symbols: price and change of the last 24 hours, and the way to switch.

import { find, make, name, say } from "./dom.js";
import { grouped, signed } from "./format.js";
import { soon } from "./frames.js";
import type { Ticker } from "./messages.js";

interface Tile {
  button: HTMLButtonElement;
  price: HTMLElement;
  change: HTMLElement;
}

export class Strip {
  private readonly strip = find("strip");
  private readonly tiles = new Map<string, Tile>();
  private readonly changed = new Map<string, Ticker>();
  readonly tickers = new Map<string, Ticker>();

  constructor(private readonly choose: (symbol: string) => void) {
    // Arrows walk along the strip, as in any row of choices.
    this.strip.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      const buttons = [...this.strip.querySelectorAll("button")];
      const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
      if (step && at >= 0) {
        event.preventDefault();
        buttons[(at + step + buttons.length) % buttons.length]?.focus();
      }
    });
  }

  hear(tickers: readonly Ticker[]): void {
    for (const ticker of tickers) {
      this.tickers.set(ticker.symbol, ticker);
      this.changed.set(ticker.symbol, ticker);
    }
    soon(this.draw);
  }

  /** Adds a symbol, with or without statistics. */
  add(symbol: string): void {
    if (this.tiles.has(symbol)) return;
    const button = make("button", "tile");
    button.type = "button";
    button.dataset["symbol"] = symbol;
    button.setAttribute("aria-pressed", "false");
    const [title, price, change] = [make("b"), make("span", "price"), make("span", "change")];
    say(title, symbol);
    button.append(title, price, change);
    button.addEventListener("click", () => this.choose(symbol));
    this.strip.append(button);
    this.tiles.set(symbol, { button, price, change });
  }

  mark(symbol: string): void {
    for (const [own, tile] of this.tiles) tile.button.setAttribute("aria-pressed", String(own === symbol));
    this.tiles.get(symbol)?.button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  private readonly draw = (): void => {
    for (const [symbol, ticker] of this.changed) {
      this.add(symbol);
      const tile = this.tiles.get(symbol)!;
      say(tile.price, grouped(ticker.lastPrice));
      say(tile.change, signed(ticker.priceChangePercent));
      name(tile.change, ticker.priceChangePercent?.startsWith("-") ? "change down" : "change up");
    }
    this.changed.clear();
  };
}
