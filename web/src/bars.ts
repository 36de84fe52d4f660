// The bars of a chart: history that was fetched and the stream on top of it, without gap or overlap.

import type { Bar, StreamMessage } from "./messages.js";

/** The answer of `/api/v1/klines`. */
export interface History {
  epoch: string;
  seq: number;
  bars: Bar[];
}

/** What a chart has to do after a message. */
export type Step =
  | { kind: "nothing" }
  /** The last bar changed, or one follows on it. */
  | { kind: "last"; bar: Bar }
  /** A bar before the last one changed. */
  | { kind: "earlier"; bar: Bar }
  /** History is to be fetched again: what was missed cannot be had otherwise. */
  | { kind: "fetch" };

/**
 * Keeps bars in order.
 *
 * Invariants: open times rise; a closed bar never becomes open again.
 */
export class Bars {
  readonly all: Bar[] = [];
  private epoch = "";
  private seq = 0;
  /** Messages that came before the history did. */
  private early: StreamMessage[] | undefined = [];

  /** Takes the history in, then what the stream said meanwhile. Whether it has to be fetched again. */
  load(history: History): boolean {
    this.all.splice(0, this.all.length, ...history.bars);
    this.epoch = history.epoch;
    this.seq = history.seq;
    const early = this.early ?? [];
    this.early = undefined;
    const last = early.at(-1);
    const held = early.filter((message) => message.epoch === this.epoch);
    // The history of a server that has begun anew since, or from before a loss, leads to nothing.
    const gap = held.some((message) => message.recovered === false && message.seq > this.seq);
    if (gap || (last && last.epoch !== this.epoch)) {
      this.early = early;
      return true;
    }
    for (const message of held) this.follow(message);
    return false;
  }

  /** Older bars, as they are fetched when somebody looks at them. How many were new. */
  prepend(bars: readonly Bar[]): number {
    const first = this.all[0]?.openTime ?? Infinity;
    const older = bars.filter((bar) => bar.openTime < first);
    this.all.unshift(...older);
    return older.length;
  }

  /** Takes a message of the stream in. */
  hear(message: StreamMessage): Step {
    if (this.early) {
      this.early.push(message);
      // What comes while no history can be had is in the history when it can.
      if (this.early.length > EARLY) this.early.shift();
      return { kind: "nothing" };
    }
    if (message.epoch !== this.epoch || message.recovered === false) {
      this.early = [message];
      return { kind: "fetch" };
    }
    return this.follow(message);
  }

  private follow(message: StreamMessage): Step {
    if (message.seq <= this.seq) return { kind: "nothing" };
    this.seq = message.seq;
    return this.put(message.data as Bar);
  }

  private put(bar: Bar): Step {
    const last = this.all.at(-1);
    if (!last || bar.openTime > last.openTime) {
      this.all.push(bar);
      return { kind: "last", bar };
    }
    if (bar.openTime === last.openTime) {
      if (last.closed && !bar.closed) return { kind: "nothing" };
      this.all[this.all.length - 1] = bar;
      return { kind: "last", bar };
    }
    let at = this.all.length - 2;
    while (at >= 0 && this.all[at]!.openTime > bar.openTime) at -= 1;
    // A bar that is not shown needs no correction.
    if (at < 0 || this.all[at]!.openTime !== bar.openTime) return { kind: "nothing" };
    this.all[at] = bar;
    return { kind: "earlier", bar };
  }
}

/** Messages that wait for the history. */
const EARLY = 1_000;
