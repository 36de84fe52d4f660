// A client of tickcast's native protocol (PROTOCOL.md), without dependencies.
//
// It subscribes, keeps books, proves them, comes back after any loss with what it missed, and renews
// its token. Copy this file, book.ts and messages.ts into your own page.
//
//     const client = new Client("wss://example.com/v1/ws");
//     const stop = client.book("book:BTCUSDT:20:100ms", (book) => draw(book.bids, book.asks));
//     client.subscribe("trades:BTCUSDT", (message) => console.log(message.data));

import { Book } from "./book.js";
import type { Answer, StreamMessage } from "./messages.js";

export { Book, checksum } from "./book.js";
export type { Answer, Balance, Bar, Fill, Level, Order, StreamMessage, Ticker, Trade } from "./messages.js";

/** `waiting` is between two attempts. */
export type State = "connecting" | "open" | "waiting" | "closed";

export interface Options {
  /** Gives a token that is good now. Asked at each connecting, and before the last one expires. */
  token?: () => Promise<string | undefined> | string | undefined;
  /** Hears of every change of the state. */
  onState?: (state: State) => void;
  /** Hears what the server refused, and what was wrong with a book that is fetched anew. */
  onProblem?: (problem: { code: string; message: string; topic?: string | undefined }) => void;
  /** The kind of socket, for programs outside a browser. */
  socket?: typeof WebSocket;
  /** First and longest wait between two attempts, in milliseconds. */
  backoff?: { first: number; longest: number };
}

type Listener = (message: StreamMessage) => void;

interface Subscription {
  listeners: Set<Listener>;
  /** The last message that was heard, for `since`. */
  heard?: { epoch: string; seq: number };
}

export class Client {
  state: State = "closed";
  /** What the server's clock is ahead of this one, in milliseconds, by the quickest ping so far. */
  clockAhead = 0;
  private readonly subscriptions = new Map<string, Subscription>();
  private socket: WebSocket | undefined;
  private attempts = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private beat: ReturnType<typeof setInterval> | undefined;
  private renewal: ReturnType<typeof setTimeout> | undefined;
  private pinged: { id: number; at: number } | undefined;
  private quickest = Infinity;
  private nextId = 1;
  /** Whether the server ended the private topics because the token's time was over. */
  private expired = false;
  /** Topics that wait to be sent together. */
  private toSend: Set<string> | undefined;

  constructor(
    private readonly url: string,
    private readonly options: Options = {},
  ) {
    void this.connect();
  }

  /** Hears a topic until the returned function is called. */
  subscribe(topic: string, listener: Listener): () => void {
    const name = canonical(topic);
    let subscription = this.subscriptions.get(name);
    if (!subscription) {
      subscription = { listeners: new Set() };
      this.subscriptions.set(name, subscription);
      this.sendSoon(name);
    }
    const own = subscription;
    own.listeners.add(listener);
    return () => {
      if (own.listeners.delete(listener) && own.listeners.size === 0) this.unsubscribe(name);
    };
  }

  /** Keeps a book, and tells of every change of it, also when it stops being good. */
  book(topic: string, listener: (book: Book, message: StreamMessage) => void): () => void {
    const book = new Book();
    let fetching = false;
    let begun = false;
    return this.subscribe(topic, (message) => {
      // Changes that were on their way say nothing new.
      if (fetching && message.type === "delta") return;
      // Nor is anything wrong with one that was on its way to a subscription given up just before.
      const early = !begun && message.type === "delta";
      begun = true;
      fetching = book.apply(message) === "broken";
      if (fetching && early) {
        this.fetchAnew(message.topic);
      } else if (fetching) {
        const detail = `a message with seq ${message.seq} did not lead to the server's book: it is fetched anew`;
        this.options.onProblem?.({ code: "BOOK_BROKEN", message: detail, topic: message.topic });
        this.fetchAnew(message.topic);
      }
      listener(book, message);
    });
  }

  /**
   * Has the last `count` messages of a topic told again, as far as the server holds them: for a topic
   * that keeps events, such as one's own trades, of which the first picture tells nothing.
   */
  recall(topic: string, count: number): void {
    const name = canonical(topic);
    const subscription = this.subscriptions.get(name);
    if (!subscription?.heard) return;
    const { epoch, seq } = subscription.heard;
    subscription.heard = { epoch, seq: Math.max(0, seq - count) };
    this.send("unsubscribe", [name]);
    this.send("subscribe", [name]);
  }

  /** Ends it for good. */
  close(): void {
    this.setState("closed");
    this.forgetTimers();
    this.socket?.close(1000);
    this.socket = undefined;
    this.doubtBooks();
  }

  private async connect(): Promise<void> {
    this.setState("connecting");
    let token: string | undefined;
    try {
      token = await this.options.token?.();
    } catch {
      return this.connectLater();
    }
    if (this.isClosed()) return;
    const url = token ? `${this.url}${this.url.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}` : this.url;
    const socket = new (this.options.socket ?? WebSocket)(url);
    this.socket = socket;
    // A network that swallows packets never says so.
    this.retry = setTimeout(() => this.lost(socket), PATIENCE);
    socket.onopen = () => this.opened(socket, token);
    socket.onmessage = (event: MessageEvent) => this.hear(socket, String(event.data));
    socket.onclose = (event: CloseEvent) => this.lost(socket, event.reason);
  }

  private opened(socket: WebSocket, token: string | undefined): void {
    if (socket !== this.socket) return;
    clearTimeout(this.retry);
    this.setState("open");
    this.toSend = undefined;
    this.expired = false;
    this.send("subscribe", [...this.subscriptions.keys()]);
    this.ping();
    this.beat = setInterval(() => this.ping(), PING);
    if (token) this.renewBefore(token);
  }

  private lost(socket: WebSocket, reason = ""): void {
    if (socket !== this.socket) return;
    this.socket = undefined;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close();
    this.doubtBooks();
    if (this.state !== "closed") this.connectLater(Number(/^retry in (\d+) ms$/.exec(reason)?.[1] ?? 0));
  }

  /** Nobody knows what the books are until their next snapshots. */
  private doubtBooks(): void {
    for (const [topic, { heard, listeners }] of this.subscriptions) {
      if (!heard || !topic.startsWith("book:")) continue;
      for (const listener of listeners) listener({ type: "stale", topic, ...heard, ts: Date.now() });
    }
  }

  private connectLater(atLeast = 0): void {
    this.forgetTimers();
    this.setState("waiting");
    const { first, longest } = this.options.backoff ?? { first: 250, longest: 10_000 };
    const wait = Math.min(longest, first * 2 ** this.attempts);
    this.attempts += 1;
    // Not all clients of a server that was away may come back at once.
    this.retry = setTimeout(() => void this.connect(), Math.max(atLeast, wait * (0.5 + Math.random() / 2)));
  }

  private hear(socket: WebSocket, text: string): void {
    if (socket !== this.socket) return;
    const message = JSON.parse(text) as StreamMessage | Answer;
    if (isAnswer(message)) return this.answered(message);
    this.attempts = 0;
    const subscription = this.subscriptions.get(message.topic);
    if (!subscription) return;
    subscription.heard = { epoch: message.epoch, seq: message.seq };
    for (const listener of subscription.listeners) listener(message);
  }

  private answered(answer: Answer): void {
    if (answer.type === "ok" && answer.op === "ping") {
      const pinged = this.pinged;
      this.pinged = undefined;
      const now = Date.now();
      if (pinged && answer.id === pinged.id && answer.ts !== undefined && now - pinged.at <= this.quickest) {
        this.quickest = now - pinged.at;
        this.clockAhead = answer.ts - (pinged.at + now) / 2;
      }
      this.attempts = 0;
    } else if (answer.type === "ok" && answer.op === "auth" && this.expired) {
      this.expired = false;
      this.send("subscribe", [...this.subscriptions.keys()].filter(needsToken));
    } else if (answer.type === "error") {
      if (answer.code === "TOKEN_EXPIRED") {
        // The private topics have ended; with a fresh token they go on where they were.
        this.expired = true;
        void this.renew();
      }
      this.options.onProblem?.({
        code: answer.code ?? "",
        message: answer.message ?? "",
        topic: answer.topic,
      });
    }
  }

  private ping(): void {
    const socket = this.socket;
    if (!socket || this.state !== "open") return;
    if (this.pinged && Date.now() - this.pinged.at > PATIENCE) {
      this.pinged = undefined;
      return this.lost(socket);
    }
    // An hour-old best guess would miss that clocks drift.
    this.quickest *= 1.2;
    this.pinged ??= { id: this.nextId, at: Date.now() };
    if (this.pinged.id === this.nextId) this.say({ op: "ping", id: this.nextId++ });
  }

  /** Topics that are subscribed in one go are sent in one message. */
  private sendSoon(topic: string): void {
    if (this.state !== "open") return;
    if (!this.toSend) {
      const waiting = (this.toSend = new Set<string>());
      queueMicrotask(() => {
        if (this.toSend !== waiting) return;
        this.toSend = undefined;
        this.send("subscribe", [...waiting]);
      });
    }
    this.toSend.add(topic);
  }

  private unsubscribe(topic: string): void {
    this.subscriptions.delete(topic);
    if (!this.toSend?.delete(topic)) this.send("unsubscribe", [topic]);
  }

  private fetchAnew(topic: string): void {
    const subscription = this.subscriptions.get(topic);
    if (!subscription) return;
    delete subscription.heard;
    this.send("unsubscribe", [topic]);
    this.send("subscribe", [topic]);
  }

  private send(op: "subscribe" | "unsubscribe", topics: string[]): void {
    if (this.state !== "open") return;
    for (let from = 0; from < topics.length; from += TOPICS_AT_ONCE) {
      const some = topics.slice(from, from + TOPICS_AT_ONCE);
      const since: Record<string, { epoch: string; seq: number }> = {};
      for (const topic of some) {
        const heard = this.subscriptions.get(topic)?.heard;
        // A book begins with a snapshot, a ticker too: what they were is nothing to go on from.
        if (heard && !topic.startsWith("book:") && !topic.startsWith("ticker:")) since[topic] = heard;
      }
      const resumes = op === "subscribe" && Object.keys(since).length > 0;
      this.say({ op, id: this.nextId++, topics: some, ...(resumes ? { since } : {}) });
    }
  }

  private say(message: object): void {
    this.socket?.send(JSON.stringify(message));
  }

  private renewBefore(token: string): void {
    const expires = expiry(token);
    if (expires === undefined) return;
    const wait = expires - RENEW_BEFORE - (Date.now() + this.clockAhead);
    // A longer wait than timers can hold is looked at again on the way.
    this.renewal = setTimeout(
      () => (wait > LONGEST_TIMER ? this.renewBefore(token) : void this.renew()),
      Math.min(Math.max(wait, 1_000), LONGEST_TIMER),
    );
  }

  private async renew(): Promise<void> {
    clearTimeout(this.renewal);
    try {
      const token = await this.options.token?.();
      if (!token || this.state !== "open") return;
      this.say({ op: "auth", id: this.nextId++, token });
      this.renewBefore(token);
    } catch {
      this.renewal = setTimeout(() => void this.renew(), PING);
    }
  }

  private isClosed(): boolean {
    return this.state === "closed";
  }

  private setState(state: State): void {
    if (this.state === state) return;
    this.state = state;
    this.options.onState?.(state);
  }

  private forgetTimers(): void {
    clearTimeout(this.retry);
    clearInterval(this.beat);
    clearTimeout(this.renewal);
    this.pinged = undefined;
    this.quickest = Infinity;
  }
}

function isAnswer(message: StreamMessage | Answer): message is Answer {
  return message.type === "ok" || message.type === "error";
}

/** Whether a topic may end with the token. Asking for one that is still heard changes nothing. */
function needsToken(topic: string): boolean {
  return !topic.includes(":") || topic.startsWith("strategy:") || topic.startsWith("room:");
}

/** The name that messages of a topic carry. Names are read from the right: a symbol may hold `:`. */
export function canonical(topic: string): string {
  const [kind = "", ...parts] = topic.split(":");
  const last = (names: readonly string[]) => (parts.length > 1 && names.includes(parts.at(-1)!) ? parts.pop() : undefined);
  if (kind === "book") {
    const speed = last(SPEEDS) ?? "raw";
    const depth = last(DEPTHS) ?? "full";
    const like = parts.length > 1 && [...SPEEDS, ...DEPTHS].includes(parts.at(-1)!);
    const short = depth === "full" && speed === "raw" && !like;
    return [kind, ...parts, ...(short ? [] : [depth, speed])].join(":");
  }
  if (kind === "ticker") {
    const speed = last(SPEEDS) ?? "1000ms";
    const short = speed === "1000ms" && !(parts.length > 1 && SPEEDS.includes(parts.at(-1)!));
    return [kind, ...parts, ...(short ? [] : [speed])].join(":");
  }
  return topic;
}

/** When a JWT expires, in milliseconds; its signature is the server's business. */
function expiry(token: string): number | undefined {
  try {
    const claims = JSON.parse(atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/"))) as { exp?: number };
    return claims.exp === undefined ? undefined : claims.exp * 1_000;
  } catch {
    return undefined;
  }
}

const SPEEDS = ["raw", "100ms", "1000ms"];
const DEPTHS = ["1", "5", "10", "20", "50", "full"];

/** Between two pings, in milliseconds. */
const PING = 5_000;

/** How long a connection may take to open, and a ping to be answered. */
const PATIENCE = 8_000;

/** How long before its end a token is renewed. */
const RENEW_BEFORE = 30_000;
const LONGEST_TIMER = 2 ** 31 - 1;

/** A message stays far below the size that a server takes. */
const TOPICS_AT_ONCE = 500;
