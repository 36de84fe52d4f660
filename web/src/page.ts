// The page: what is looked at, and which part hears what.

import { Account } from "./account.js";
import { Chart } from "./chart.js";
import { Client, type State } from "./client.js";
import { find, name, say } from "./dom.js";
import { grouped, short, signed } from "./format.js";
import { soon } from "./frames.js";
import { Ladder } from "./ladder.js";
import { Latency } from "./latency.js";
import type { StreamMessage, Ticker, Trade } from "./messages.js";
import { Strip } from "./strip.js";
import { tabs } from "./tabs.js";
import { Tape } from "./tape.js";
import { watchTheme } from "./theme.js";

const INTERVALS = ["1m", "3m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"];

/** The two tabs. */
const MARKET = "market";
const ACCOUNT = "account";

const STATES: Record<State, string> = {
  connecting: "connecting",
  open: "live",
  waiting: "reconnecting",
  closed: "closed",
};

function start(): void {
  const latency = new Latency();
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const tokens = document.documentElement.dataset["account"];
  const client = new Client(`${scheme}//${location.host}/v1/ws`, {
    ...(tokens ? { token: () => fetchToken(tokens) } : {}),
    onState: (state) => {
      say(find("state-text"), STATES[state]);
      find("state").dataset["state"] = state;
      if (state !== "open") latency.forget();
    },
    onProblem: (problem) => console.warn(problem.code, problem.message),
  });
  const heard = (message: StreamMessage) => {
    // A first picture is as old as the quiet before it.
    if (message.type !== "snapshot") latency.heard(message.ts, client.clockAhead);
  };
  const chart = new Chart(client, heard);
  const [ladder, tape] = [new Ladder(), new Tape()];
  const view = { symbol: "", interval: INTERVALS[0]!, tab: MARKET, stop: () => {} };

  const strip = new Strip((symbol) => show(symbol, view.interval));
  const facts = () => showFacts(strip.tickers.get(view.symbol));
  client.subscribe("ticker:*", (message) => {
    strip.hear(message.data as Ticker[]);
    soon(facts);
  });

  function show(symbol: string, interval: string): void {
    const other = symbol !== view.symbol;
    [view.symbol, view.interval] = [symbol, interval];
    remember();
    strip.mark(symbol);
    for (const button of find("intervals").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset["interval"] === interval));
    }
    say(find("symbol"), symbol);
    document.title = `${symbol} · tickcast`;
    chart.show(symbol, interval);
    soon(facts);
    if (other) listen(symbol);
  }

  /** What is looked at survives a reload, because the address names it. */
  function remember(): void {
    const tab = view.tab === MARKET ? "" : `/${view.tab}`;
    history.replaceState(null, "", `#${encodeURIComponent(view.symbol)}/${view.interval}${tab}`);
  }

  function listen(symbol: string): void {
    view.stop();
    ladder.clear();
    tape.clear();
    const stops = [
      client.book(`book:${symbol}:50:raw`, (book, message) => {
        heard(message);
        ladder.show(book);
      }),
      client.subscribe(`trades:${symbol}`, (message) => {
        heard(message);
        const trades = [message.data].flat() as Trade[];
        tape.add(trades);
        ladder.traded(trades.at(-1)?.price ?? "");
      }),
    ];
    view.stop = () => stops.forEach((stop) => stop());
    void lastTrades(symbol);
  }

  /** What was traded before the page was there. */
  async function lastTrades(symbol: string): Promise<void> {
    const answer = await fetch(`/api/v1/trades?symbol=${encodeURIComponent(symbol)}&limit=40`).catch(() => undefined);
    if (!answer?.ok) return;
    const { trades } = (await answer.json()) as { trades: Trade[] };
    if (symbol === view.symbol && tape.isEmpty()) {
      tape.add(trades);
      ladder.traded(trades.at(-1)?.price ?? "");
    }
  }

  for (const interval of INTERVALS) addInterval(interval, () => show(view.symbol, interval));
  watchTheme(() => chart.paint());
  if (tokens) {
    const account = new Account(client);
    const choose = tabs([MARKET, ACCOUNT], (tab) => {
      view.tab = tab;
      find("intervals").style.visibility = tab === MARKET ? "" : "hidden";
      if (view.symbol) remember();
      account.show();
    });
    if (location.hash.endsWith(`/${ACCOUNT}`)) choose(ACCOUNT);
  }
  void begin(strip, show);
}

/** A token for the account that a demo's page shows. */
async function fetchToken(from: string): Promise<string> {
  const answer = await fetch(from);
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  const { token, user } = (await answer.json()) as { token: string; user: string };
  say(find("user"), user);
  return token;
}

/** Shows what the address names, or the first symbol there is. */
async function begin(strip: Strip, show: (symbol: string, interval: string) => void): Promise<void> {
  for (;;) {
    const answer = await fetch("/api/v1/symbols").catch(() => undefined);
    const symbols = answer?.ok ? ((await answer.json()) as { symbols: { symbol: string }[] }).symbols : [];
    for (const { symbol } of symbols) strip.add(symbol);
    const [wanted = "", interval = ""] = location.hash.slice(1).split("/");
    const named = symbols.find(({ symbol }) => encodeURIComponent(symbol) === wanted || symbol === wanted) ?? symbols[0];
    if (named) return show(named.symbol, INTERVALS.includes(interval) ? interval : INTERVALS[0]!);
    await new Promise((again) => setTimeout(again, 1_000));
  }
}

function addInterval(interval: string, choose: () => void): void {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset["interval"] = interval;
  button.setAttribute("aria-pressed", "false");
  say(button, interval);
  button.addEventListener("click", choose);
  find("intervals").append(button);
}

function showFacts(ticker: Ticker | undefined): void {
  say(find("price"), grouped(ticker?.lastPrice));
  say(find("change"), signed(ticker?.priceChangePercent));
  name(find("change"), ticker?.priceChangePercent?.startsWith("-") ? "down" : "up");
  say(find("high"), grouped(ticker?.high24h));
  say(find("low"), grouped(ticker?.low24h));
  say(find("volume"), short(ticker?.volume24h));
  say(find("turnover"), short(ticker?.quoteVolume24h));
}

start();
