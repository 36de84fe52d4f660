// How long ago the server took in what was just painted: a live histogram of the last updates.

import { find, say } from "./dom.js";
import { afterPaint, soon } from "./frames.js";

export class Latency {
  private readonly canvas = find<HTMLCanvasElement>("latency");
  private readonly text = find("latency-text");
  private readonly rate = find("rate");
  private readonly samples = new Float64Array(KEPT);
  private count = 0;
  private since: number[] = [];
  private updates = 0;
  private clockAhead = 0;

  constructor() {
    afterPaint(() => this.painted());
    setInterval(() => this.second(), 1_000);
  }

  /** An update came that the next frame shows; `taken` is the server's time. */
  heard(taken: number, clockAhead: number): void {
    this.updates += 1;
    this.clockAhead = clockAhead;
    if (this.since.length < KEPT) this.since.push(taken);
  }

  /** What came before a break says nothing of now. */
  forget(): void {
    this.count = 0;
    this.since = [];
  }

  private painted(): void {
    const now = performance.timeOrigin + performance.now() + this.clockAhead;
    for (const taken of this.since) {
      this.samples[this.count % KEPT] = Math.max(0, now - taken);
      this.count += 1;
    }
    this.since = [];
  }

  private second(): void {
    say(this.rate, `${this.updates}/s`);
    this.updates = 0;
    soon(this.draw);
  }

  private readonly draw = (): void => {
    const sorted = this.samples.slice(0, Math.min(this.count, KEPT)).sort();
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    const shown = (value: number | undefined) => (value === undefined ? "–" : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
    say(this.text, `p50 ${shown(at(0.5))} · p99 ${shown(at(0.99))}`);
    const buckets = new Array<number>(EDGES.length + 1).fill(0);
    for (const sample of sorted) {
      const found = EDGES.findIndex((edge) => sample < edge);
      buckets[found < 0 ? EDGES.length : found]! += 1;
    }
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.canvas.width !== width * scale) {
      this.canvas.width = width * scale;
      this.canvas.height = height * scale;
    }
    const context = this.canvas.getContext("2d");
    if (!context) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(this.canvas).color;
    const most = Math.max(1, ...buckets);
    const step = width / buckets.length;
    buckets.forEach((count, index) => {
      const tall = Math.max(1, (count / most) * (height - 2));
      context.globalAlpha = count > 0 ? 1 : 0.3;
      context.fillRect(index * step + 1, height - tall, step - 2, tall);
    });
  };
}

/** Samples that the histogram is made of. */
const KEPT = 2_048;

/** Upper edges of the histogram's bars, in milliseconds; one more holds what is above. */
const EDGES = [1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 25, 30, 40, 60, 100, 200];
