// A server's bars with late trades, quiet intervals, lost connections and restarts, and a chart on top of them.

const MINUTE = 60_000;

function generator(seed) {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** The server's side: bars of a minute, its messages, and what it answers to a fetch. */
class Server {
  bars = [];
  seq = 0;
  epochs = 0;
  constructor(random) {
    this.random = random;
    this.now = 100 * MINUTE;
    this.restart();
  }
  restart() {
    this.epoch = `e${(this.epochs += 1)}`;
    this.seq = 0;
    this.bars = [];
    this.trade(0);
  }
  bar(openTime, price) {
    const text = String(price);
    return { openTime, closeTime: openTime + MINUTE, open: text, high: text, low: text, close: text, volume: "1", trades: 1, closed: false };
  }
  message(bar, more = {}) {
    this.seq += 1;
    return { type: "update", topic: "kline:X:1m", epoch: this.epoch, seq: this.seq, ts: this.now, data: { ...bar }, ...more };
  }
  /** A trade `late` bars ago; the messages that it gives. */
  trade(late) {
    const price = 1 + this.random(1_000);
    const last = this.bars.at(-1);
    if (late > 0) {
      const bar = this.bars.at(-1 - late);
      if (!bar) return [];
      bar.close = String(price);
      return [this.message(bar, { correction: true })];
    }
    const openTime = Math.floor(this.now / MINUTE) * MINUTE;
    const told = [];
    for (let at = last?.openTime ?? openTime; at < openTime; at += MINUTE) {
      const bar = this.bars.at(-1);
      bar.closed = true;
      told.push(this.message(bar));
      this.bars.push(this.bar(at + MINUTE, bar.close));
    }
    if (!last) this.bars.push(this.bar(openTime, price));
    const open = this.bars.at(-1);
    open.close = String(price);
    // The open bar is throttled: often nothing is said of it.
    return this.random(3) ? [...told, this.message(open)] : told;
  }
  fetch() {
    return { epoch: this.epoch, seq: this.seq, bars: this.bars.slice(-500).map((bar) => ({ ...bar })) };
  }
  first() {
    this.seq = Math.max(1, this.seq);
    return { type: "snapshot", topic: "kline:X:1m", epoch: this.epoch, seq: this.seq, ts: this.now, recovered: false, data: { ...this.bars.at(-1) } };
  }
}

/** What lightweight-charts refuses. */
export class Strict {
  points = new Map();
  last = -Infinity;
  setData(bars) {
    this.points = new Map();
    this.last = -Infinity;
    for (const bar of bars) {
      if (bar.openTime <= this.last) throw new Error("data must be ascending");
      this.last = bar.openTime;
      this.points.set(bar.openTime, bar.close);
    }
  }
  update(bar, earlier) {
    if (earlier && !this.points.has(bar.openTime)) throw new Error("no such point");
    if (!earlier && bar.openTime < this.last) throw new Error("cannot update the oldest data");
    this.last = Math.max(this.last, bar.openTime);
    this.points.set(bar.openTime, bar.close);
  }
  shown() {
    return this.points;
  }
}

/** Drives one chart; throws where the chart does, or where it does not end with the server's bars. */
export function run(seed, Bars, chart) {
  const random = generator(seed);
  const server = new Server(random);
  const bars = new Bars();
  let onTheWay = [];
  let fetching = true;
  const deliver = (message) => {
    const step = bars.hear(message);
    if (step.kind === "fetch") fetching = true;
    else if (step.kind !== "nothing") chart.update(step.bar, step.kind === "earlier");
  };
  const answer = () => {
    fetching = false;
    if (bars.load(server.fetch())) fetching = true;
    chart.setData(bars.all);
  };
  for (let step = 0; step < 400; step += 1) {
    server.now += [200, 3_000, MINUTE, 7 * MINUTE][random(10) < 6 ? 0 : random(4)];
    onTheWay.push(...server.trade(random(12) ? 0 : 1 + random(4)));
    const what = random(60);
    if (what === 0) {
      server.restart();
      onTheWay = [server.first()];
    } else if (what === 1) {
      // The connection was lost: what was on its way is gone, and `since` could not be met.
      onTheWay = [server.first()];
    } else if (what === 2) {
      bars.prepend([{ ...server.bar(random(90) * MINUTE, 1) }].sort((a, b) => a.openTime - b.openTime));
      chart.setData(bars.all);
    }
    while (onTheWay.length > 0 && random(4)) deliver(onTheWay.shift());
    if (fetching && random(3) === 0) answer();
  }
  // What is on its way arrives before an answer that is asked for after it, as on one server.
  onTheWay.forEach(deliver);
  if (fetching) answer();
  server.trade(0).forEach(deliver);
  server.now += MINUTE;
  server.trade(0).forEach(deliver);
  const held = server.fetch().bars;
  const shown = chart.shown();
  for (const bar of held.slice(0, -1)) {
    const close = shown.get(bar.openTime);
    if (close !== bar.close) throw new Error(`seed ${seed}: the bar of ${bar.openTime} closes at ${close}, not at ${bar.close}`);
  }
}
