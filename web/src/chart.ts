// The candle chart with its volume: history, the stream on top of it, and more history where one scrolls to.

import {
  CandlestickSeries,
  ColorType,
  createChart,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  type UTCTimestamp,
} from "lightweight-charts";

import { Bars, type History } from "./bars.js";
import type { Client } from "./client.js";
import { find, make, say } from "./dom.js";
import { clock, decimals, grouped, short } from "./format.js";
import { soon } from "./frames.js";
import type { Bar, StreamMessage } from "./messages.js";

export class Chart {
  private readonly frame = find("chart");
  private readonly legend = find("legend");
  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  private bars = new Bars();
  private stop: (() => void) | undefined;
  private symbol = "";
  private interval = "";
  /** What the next frame tells the chart, one entry a bar. */
  private readonly changed = new Map<number, Bar>();
  /** When the last bar opened that the chart was told of. */
  private told = -Infinity;
  private readonly probe = document.body.appendChild(make("i"));
  private colours = { up: "", down: "", upVolume: "", downVolume: "" };
  private places = -1;
  private looking: "older" | "all" | "nothing" = "nothing";
  private hovered: number | undefined;

  constructor(
    private readonly client: Client,
    private readonly onHeard: (message: StreamMessage) => void,
  ) {
    this.probe.hidden = true;
    this.chart = createChart(this.frame, {
      autoSize: true,
      // The page's foot names TradingView and links to it; the logo would bring a style of its own,
      // which the page's policy refuses.
      layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily },
      crosshair: { mode: CrosshairMode.Normal },
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 4, barSpacing: 8, minBarSpacing: 1 },
      rightPriceScale: { scaleMargins: { top: 0.12, bottom: 0.24 } },
    });
    this.candles = this.chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < 20) void this.older();
    });
    this.chart.subscribeCrosshairMove((move) => {
      this.hovered = move.time === undefined ? undefined : (move.time as number) * 1_000;
      soon(this.tell);
    });
    this.paint();
  }

  /** Takes the page's colours over. */
  paint(): void {
    // As a variable it is still both of its colours, dark and light; as a colour it is one.
    const style = getComputedStyle(this.probe);
    const colour = (name: string) => {
      this.probe.style.color = `var(${name})`;
      return style.color;
    };
    const [up, down] = [colour("--up"), colour("--down")];
    this.colours = { up, down, upVolume: colour("--up-soft"), downVolume: colour("--down-soft") };
    const line = colour("--line");
    this.chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: colour("--panel") }, textColor: colour("--muted") },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      timeScale: { borderColor: line },
      rightPriceScale: { borderColor: line },
    });
    this.candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    this.redraw();
  }

  /** Shows another symbol or interval. */
  show(symbol: string, interval: string): void {
    this.stop?.();
    this.symbol = symbol;
    this.interval = interval;
    this.bars = new Bars();
    this.looking = "nothing";
    this.changed.clear();
    this.redraw();
    const own = this.bars;
    // First subscribe, then fetch: what comes between is kept for after.
    this.stop = this.client.subscribe(`kline:${symbol}:${interval}`, (message) => this.hear(message));
    void this.fetchAll(own);
  }

  private hear(message: StreamMessage): void {
    this.onHeard(message);
    const step = this.bars.hear(message);
    if (step.kind === "fetch") void this.fetchAll(this.bars);
    else if (step.kind !== "nothing") {
      this.changed.set(step.bar.openTime, step.bar);
      soon(this.draw);
    }
  }

  /** Fetches until it is there: without history there is no chart. */
  private async fetchAll(own: Bars): Promise<void> {
    if (this.looking === "all") return;
    this.looking = "all";
    while (own === this.bars) {
      const history = await this.fetch("");
      if (own !== this.bars) return;
      if (history && !own.load(history)) break;
      // Better than nothing meanwhile.
      if (history) this.redraw();
      await new Promise((again) => setTimeout(again, FETCH_AGAIN));
    }
    if (own !== this.bars) return;
    this.looking = "nothing";
    this.changed.clear();
    this.redraw();
    this.chart.timeScale().scrollToRealTime();
  }

  private async older(): Promise<void> {
    const first = this.bars.all[0];
    if (!first || this.looking !== "nothing") return;
    const own = this.bars;
    this.looking = "older";
    const history = await this.fetch(`&to=${first.openTime}`);
    if (own !== this.bars || this.looking !== "older") return;
    if (!history) {
      // It could not be had: the next scroll asks again.
      this.looking = "nothing";
      return;
    }
    // Where there is nothing older, nothing more is asked for.
    if (own.prepend(history.bars) > 0) {
      this.looking = "nothing";
      const seen = this.chart.timeScale().getVisibleLogicalRange();
      this.redraw();
      const more = history.bars.length;
      if (seen) this.chart.timeScale().setVisibleLogicalRange({ from: seen.from + more, to: seen.to + more });
    }
  }

  private async fetch(range: string): Promise<History | undefined> {
    const query = `symbol=${encodeURIComponent(this.symbol)}&interval=${this.interval}&limit=${BARS}${range}`;
    try {
      const answer = await fetch(`/api/v1/klines?${query}`);
      return answer.ok ? ((await answer.json()) as History) : undefined;
    } catch {
      return undefined;
    }
  }

  private redraw(): void {
    const all = this.bars.all;
    const last = all.at(-1);
    if (last) this.setPlaces(decimals(last.close));
    this.candles.setData(all.map(candle));
    this.volume.setData(all.map((bar) => this.amount(bar)));
    this.told = last?.openTime ?? -Infinity;
    this.frame.dataset["bars"] = String(all.length);
    this.frame.dataset["last"] = last?.close ?? "";
    this.frame.dataset["shows"] = all.length ? `${this.symbol} ${this.interval}` : "";
    soon(this.tell);
  }

  private readonly draw = (): void => {
    if (this.looking === "all") return;
    // In order: the chart throws at a step back, except to a bar that it has and when it is told so.
    const changed = [...this.changed.values()].sort((a, b) => a.openTime - b.openTime);
    this.changed.clear();
    for (const bar of changed) {
      const earlier = bar.openTime < this.told;
      this.setPlaces(Math.max(this.places, decimals(bar.close)));
      this.candles.update(candle(bar), earlier);
      this.volume.update(this.amount(bar), earlier);
      this.told = Math.max(this.told, bar.openTime);
    }
    this.frame.dataset["bars"] = String(this.bars.all.length);
    this.frame.dataset["last"] = this.bars.all.at(-1)?.close ?? "";
    this.tell();
  };

  /** The numbers of the bar under the pointer, or of the last one. */
  private readonly tell = (): void => {
    const all = this.bars.all;
    const bar = all.findLast((one) => one.openTime === this.hovered) ?? all.at(-1);
    if (!bar) return say(this.legend, "loading…");
    const day = new Date(bar.openTime).toISOString().slice(5, 10);
    const numbers = [bar.open, bar.high, bar.low, bar.close].map(grouped);
    say(
      this.legend,
      `${day} ${clock(bar.openTime).slice(0, 5)} UTC   O ${numbers[0]}   H ${numbers[1]}   L ${numbers[2]}   C ${numbers[3]}   V ${short(bar.volume)}`,
    );
  };

  private amount(bar: Bar) {
    const rises = Number(bar.close) >= Number(bar.open);
    return { time: seconds(bar), value: Number(bar.volume), color: rises ? this.colours.upVolume : this.colours.downVolume };
  }

  private setPlaces(places: number): void {
    if (places === this.places) return;
    this.places = places;
    this.candles.applyOptions({ priceFormat: { type: "price", precision: places, minMove: Number((10 ** -places).toFixed(places)) } });
  }
}

function candle(bar: Bar) {
  return { time: seconds(bar), open: Number(bar.open), high: Number(bar.high), low: Number(bar.low), close: Number(bar.close) };
}

function seconds(bar: Bar): UTCTimestamp {
  return (bar.openTime / 1_000) as UTCTimestamp;
}

/** Bars that are fetched at once. */
const BARS = 500;

/** How long to wait after a history that could not be had, in milliseconds. */
const FETCH_AGAIN = 500;
