// lightweight-charts itself never throws on the order of updates: late trades, quiet intervals, lost
// connections and restarts, drawn by the library in Chromium.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import { launch } from "./support.mjs";

const { build } = createRequire(new URL("../../web/package.json", import.meta.url))("esbuild");

const ENTRY = `
import { CandlestickSeries, HistogramSeries, createChart } from "lightweight-charts";
import { Bars } from "./src/bars.ts";
import { run } from "./test/market.mjs";

class Real {
  constructor() {
    this.chart = createChart(document.body, { width: 400, height: 300 });
    this.candles = this.chart.addSeries(CandlestickSeries);
    this.volume = this.chart.addSeries(HistogramSeries);
  }
  setData(bars) {
    this.candles.setData(bars.map(candle));
    this.volume.setData(bars.map(amount));
  }
  update(bar, earlier) {
    this.candles.update(candle(bar), earlier);
    this.volume.update(amount(bar), earlier);
  }
  shown() {
    return new Map(this.candles.data().map((point) => [point.time * 1000, String(point.close)]));
  }
}
const time = (bar) => bar.openTime / 1000;
const candle = (bar) => ({ time: time(bar), open: +bar.open, high: +bar.high, low: +bar.low, close: +bar.close });
const amount = (bar) => ({ time: time(bar), value: +bar.volume });

window.drive = (seed) => {
  const real = new Real();
  try {
    run(seed, Bars, real);
    return "";
  } catch (error) {
    return String(error.stack);
  } finally {
    real.chart.remove();
  }
};
`;

test("lightweight-charts takes whatever comes, and shows the server's bars", async (t) => {
  const web = new URL("../../web", import.meta.url).pathname;
  const stdin = { contents: ENTRY, resolveDir: web, loader: "js" };
  const { outputFiles } = await build({ stdin, bundle: true, write: false, format: "iife", logLevel: "warning" });
  const browser = await launch();
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.setContent("<!doctype html><body></body>");
  await page.addScriptTag({ content: outputFiles[0].text });
  for (let seed = 1; seed <= 60; seed += 1) assert.equal(await page.evaluate((seed) => window.drive(seed), seed), "", `seed ${seed}`);
});
