// The page at a hundred updates a second and more: no long tasks, no jumps of the layout, no growth.
//
// SOAK_SECONDS makes it longer than the ten seconds of the ordinary run.

import assert from "node:assert/strict";
import { cpus, loadavg } from "node:os";
import { test } from "node:test";

import { filled, launch, open, Server } from "./support.mjs";

const SECONDS = Number(process.env.SOAK_SECONDS ?? 10);

/** Readings of the heap, and what two of them may differ by without anything having grown. */
const PARTS = 5;
const GROWN = 400_000;

test(`${SECONDS} s at 100 updates a second leave no trace`, { timeout: (SECONDS + 120) * 1_000 }, async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const [busy] = loadavg();
  const server = await Server.start(["--rate", "100", "--symbols", "BTCUSDT"]);
  t.after(() => server.kill());
  const { page, wrong } = await open(browser, `${server.url}/`);
  await filled(page, "BTCUSDT 1m");
  const heap = async () => {
    await page.evaluate(() => gc());
    return page.evaluate(() => performance.memory.usedJSHeapSize);
  };
  // What is made once (code, caches, rows) is made by then.
  await page.waitForTimeout(3_000);
  await page.evaluate(() => {
    const seen = (window.seen = { tasks: [], shift: 0, moved: new Set(), frames: new Float64Array(200_000), count: 0, updates: 0, shown: "" });
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => seen.tasks.push(entry.duration))).observe({ type: "longtask" });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        // A number that is right-aligned and gets another length moves its own text, and nothing else.
        const moved = entry.sources.map(({ node }) => node).filter((node) => node?.nodeType === Node.ELEMENT_NODE);
        moved.forEach((node) => seen.moved.add(node.id || node.className || node.nodeName));
        if (moved.length > 0) seen.shift += entry.value;
      }
    }).observe({ type: "layout-shift" });
    let last = performance.now();
    const frame = (now) => {
      // What is measured must not grow itself.
      seen.frames[seen.count++ % seen.frames.length] = now - last;
      last = now;
      const { update } = document.querySelector("#ladder").dataset;
      if (update !== seen.shown) seen.updates += 1;
      seen.shown = update;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  // What is kept is full after the first part; from then on it must not grow.
  const readings = [await heap()];
  for (let part = 0; part < PARTS; part += 1) {
    await page.waitForTimeout((SECONDS * 1_000) / PARTS);
    readings.push(await heap());
  }
  const grown = readings.at(-1) - readings[1];
  const seen = await page.evaluate(() => ({ ...window.seen, frames: [...window.seen.frames.slice(0, window.seen.count)], moved: [...window.seen.moved] }));
  const frames = seen.frames.sort((a, b) => a - b);
  const at = (share) => frames[Math.floor(frames.length * share)].toFixed(1);
  const long = seen.tasks.filter((duration) => duration > 50).length;
  t.diagnostic(
    `${SECONDS} s: ${frames.length} frames, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; ${long} tasks over 50 ms; ` +
      `layout shift ${seen.shift}; heap ${readings.map((bytes) => (bytes / 1024).toFixed(0)).join(", ")} KB; ${seen.updates} states of the book shown`,
  );
  assert.ok(seen.updates > SECONDS * 5, `only ${seen.updates} states were shown`);
  // Where others want the same cores, the length of a task says how long it waited for one.
  if (busy <= cpus().length) assert.ok(long <= frames.length / 100, `${long} long tasks in ${frames.length} frames`);
  else t.diagnostic(`SKIPPED: the length of tasks, because ${busy.toFixed(1)} programs wanted ${cpus().length} cores before it began`);
  assert.ok(seen.shift < 0.001, `the layout moved by ${seen.shift}: ${seen.moved}`);
  assert.ok(grown < GROWN, `the heap grew by ${grown} bytes: ${readings}`);
  assert.deepEqual(wrong, []);
});
