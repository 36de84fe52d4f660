// The page in Chromium: what it shows is what the server holds, and it heals by itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { best, filled, launch, open, screenshots, Server, until } from "./support.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(async () => browser?.close());

async function started(t, more) {
  const server = await Server.start(more);
  t.after(() => server.kill());
  const opened = await open(browser, `${server.url}/`);
  t.after(() => opened.context.close());
  return { server, ...opened };
}

/** Few changes, so that two looks can meet the same state. */
const QUIET = ["--rate", "40", "--symbols", "BTCUSDT,ETHUSDT"];

/** Compares a frame of the ladder with the server's book at the very same update. */
async function sameBook(server, page, symbol) {
  const plain = (text) => text.replaceAll(",", "");
  return until("page and server meet at one update", async () => {
    const [shown, held] = [await best(page), await server.get(`/api/v1/book?symbol=${symbol}&depth=1`)];
    if (shown.update !== held.lastUpdateId) return false;
    assert.deepEqual([plain(shown.bid[0]), plain(shown.ask[0])], [held.bids[0][0], held.asks[0][0]]);
    assert.deepEqual([Number(shown.bid[1]), Number(shown.ask[1])], [Number(held.bids[0][1]), Number(held.asks[0][1])]);
    return true;
  });
}

test("it loads, and shows bars, a book and trades without asking anybody else", async (t) => {
  const { server, page, wrong } = await started(t);
  await filled(page, "BTCUSDT 1m");
  const bars = Number(await page.getAttribute("#chart", "data-bars"));
  assert.ok(bars >= 400, `${bars} bars of the past`);
  assert.equal(await page.locator(".tile").count(), (await server.get("/api/v1/symbols")).symbols.length);
  assert.equal(await page.textContent("#state-text"), "live");
  await page.waitForFunction(() => /p50 \d/.test(document.querySelector("#latency-text").textContent));
  assert.match(await page.textContent(".credits"), /TradingView/);
  assert.deepEqual(wrong, []);
});

test("the ladder's best prices are those of the server's book", async (t) => {
  const { server, page, wrong } = await started(t, QUIET);
  await filled(page, "BTCUSDT 1m");
  for (let look = 0; look < 3; look += 1) {
    await sameBook(server, page, "BTCUSDT");
    const { update } = await best(page);
    await until("the book changes", async () => (await best(page)).update !== update);
  }
  assert.deepEqual(wrong, []);
});

test("symbols and intervals are switched, by pointer and by keyboard", async (t) => {
  const { server, page, wrong } = await started(t, QUIET);
  await filled(page, "BTCUSDT 1m");
  await page.click("[data-symbol=ETHUSDT]");
  await filled(page, "ETHUSDT 1m");
  await sameBook(server, page, "ETHUSDT");
  await page.click("[data-interval='5m']");
  await filled(page, "ETHUSDT 5m");
  await page.focus("[data-symbol=ETHUSDT]");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await filled(page, "BTCUSDT 5m");
  assert.equal(await page.getAttribute("[data-symbol=BTCUSDT]", "aria-pressed"), "true");
  // What was chosen survives a reload, because the address names it.
  await page.reload();
  await filled(page, "BTCUSDT 5m");
  const theme = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await theme();
  await page.click("#theme");
  assert.notEqual(await theme(), before);
  assert.deepEqual(wrong, []);
});

test("many switches at once end with what was asked for last", async (t) => {
  const { server, page, wrong } = await started(t, QUIET);
  await filled(page, "BTCUSDT 1m");
  await page.evaluate(() => {
    for (let turn = 0; turn < 20; turn += 1) {
      document.querySelector(`[data-symbol=${turn % 2 ? "BTCUSDT" : "ETHUSDT"}]`).click();
      document.querySelector(`[data-interval="${["1m", "5m", "1h"][turn % 3]}"]`).click();
    }
  });
  await filled(page, "BTCUSDT 5m");
  await sameBook(server, page, "BTCUSDT");
  assert.deepEqual(wrong, []);
});

test("when the server is killed and comes back, the page heals by itself with the exact book", async (t) => {
  const { server, page, wrong } = await started(t, QUIET);
  await filled(page, "BTCUSDT 1m");
  for (let round = 0; round < 2; round += 1) {
    await server.kill();
    await page.waitForFunction(() => document.querySelector("#state").dataset.state !== "open");
    await server.start();
    await page.waitForFunction(() => document.querySelector("#state").dataset.state === "open", undefined, { timeout: 30_000 });
    await sameBook(server, page, "BTCUSDT");
    await until("the chart shows the new server's bars", async () => {
      const { bars } = await server.get("/api/v1/klines?symbol=BTCUSDT&interval=1m");
      const shown = await page.evaluate(() => ({ ...document.querySelector("#chart").dataset }));
      return bars.length > 0 && Number(shown.bars) === bars.length && shown.last === bars.at(-1).close;
    });
  }
  assert.deepEqual(wrong, []);
});

/** What the private tab shows of its orders, one entry an order. */
function orders(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll("#orders tr")]
      .filter((row) => row.dataset.order)
      .map((row) => ({ id: row.dataset.order, status: row.dataset.status, filled: row.querySelector(".filled").textContent })),
  );
}

test("the private tab shows orders filling, fills and balances, and goes on after a restart", async (t) => {
  const { server, page, wrong } = await started(t);
  await filled(page, "BTCUSDT 1m");
  assert.ok(await page.locator("#account").isHidden());
  await page.focus("#tab-market");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.getAttribute("#tab-account", "aria-selected"), "true");
  assert.ok(await page.locator("#market").isHidden());
  const watch = async () => {
    const seen = new Map();
    await until("an order fills part by part", async () => {
      for (const { id, status, filled } of await orders(page)) seen.set(id, new Set(seen.get(id)).add(`${status} ${filled}`));
      const all = [...seen.values()].map((states) => [...states]);
      return all.some((states) => states.some((state) => /^PARTIALLY_FILLED \d+%/.test(state)) && states.includes("FILLED 100%"));
    }, 60_000);
    await page.waitForFunction(() => document.querySelector("#fills .price").textContent);
  };
  await watch();
  const balances = () => page.locator("#balances").textContent();
  const before = await balances();
  assert.match(before, /BTC.*ETH.*SOL.*USDT/);
  await until("a balance moves", async () => (await balances()) !== before);
  // What is looked at survives a reload, and fills of before are there at once.
  await page.reload();
  await page.waitForFunction(() => document.querySelector("#fills tr:nth-child(3) .price").textContent);
  assert.ok(await page.locator("#account").isVisible());
  await server.kill();
  await page.waitForFunction(() => document.querySelector("#state").dataset.state !== "open");
  await server.start();
  await watch();
  await page.click("#tab-market");
  await filled(page, "BTCUSDT 1m");
  assert.ok(await page.locator("#market").isVisible());
  assert.deepEqual(wrong, []);
});

test("a token that runs out is renewed, and the private tab goes on", { timeout: 240_000 }, async (t) => {
  const { page, wrong } = await started(t);
  await page.click("#tab-account");
  await page.waitForFunction(() => document.querySelector("#fills .price").textContent, undefined, { timeout: 60_000 });
  const newest = () => page.evaluate(() => document.querySelector("#fills tr").textContent);
  // The demo's tokens are good for a minute and a half.
  const end = Date.now() + 95_000;
  await until("the first token is over", () => Date.now() > end, 120_000);
  const before = await newest();
  await until("another fill comes", async () => (await newest()) !== before, 60_000);
  assert.deepEqual(wrong, []);
});

test("it looks as it should on a desktop and a phone, dark and light", async (t) => {
  const server = await Server.start();
  t.after(() => server.kill());
  const desktop = { viewport: { width: 1440, height: 860 } };
  const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
  for (const [name, device] of Object.entries({ desktop, phone })) {
    for (const colorScheme of ["dark", "light"]) {
      const { page, context, wrong } = await open(browser, `${server.url}/`, { ...device, colorScheme });
      await filled(page, "BTCUSDT 1m");
      await page.waitForFunction(() => /p99 \d/.test(document.querySelector("#latency-text").textContent));
      const take = async (what) => {
        await page.screenshot({ path: `${screenshots}${name}-${colorScheme}${what}.png`, fullPage: name === "phone" });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${name}${what}: ${wide} pixels too wide`);
      };
      await take("");
      await page.click("#tab-account");
      await page.waitForFunction(() => document.querySelector("#fills .price").textContent, undefined, { timeout: 60_000 });
      await take("-account");
      assert.deepEqual(wrong, []);
      await context.close();
    }
  }
});
