// The private tab: one account's open orders as they fill, its fills and its balances.

import type { Client } from "./client.js";
import { find, make, name, say } from "./dom.js";
import { clock, grouped, quantity } from "./format.js";
import { soon } from "./frames.js";
import type { Balance, Fill, Order, StreamMessage } from "./messages.js";

export class Account {
  private readonly orders = new Map<string, Shown>();
  /** Newest last. */
  private readonly fills = new Map<string, Fill>();
  private readonly balances = new Map<string, Balance>();
  private readonly orderRows = rows("orders", ORDERS, ["symbol", "side", "price", "amount", "filled", "status"]);
  private readonly fillRows = rows("fills", FILLS, ["time", "symbol", "side", "price", "amount"]);
  private readonly balanceRows = rows("balances", BALANCES, ["currency", "free", "locked", "total"]);
  private readonly panel = find("account");
  private recalled = false;

  constructor(private readonly client: Client) {
    for (const { cells } of this.orderRows) cells["filled"]!.append(make("i"), make("b"));
    client.subscribe("orders", (message) => this.hearOrders(message));
    client.subscribe("trades", (message) => this.hearFills(message));
    client.subscribe("balances", (message) => this.hearBalances(message));
  }

  /** Draws what was heard while nobody looked. */
  show(): void {
    soon(this.draw);
  }

  private hearOrders(message: StreamMessage): void {
    if (message.type === "snapshot") {
      // What was open before a break and is not now ended meanwhile, and nobody told us how.
      this.orders.clear();
      for (const order of (message.data as { orders: Order[] }).orders) this.orders.set(order.orderId, { ...order });
    } else {
      const order = message.data as Order;
      const shown: Shown = { ...this.orders.get(order.orderId), ...order };
      if (ENDED.includes(order.status)) {
        shown.ended = Date.now();
        setTimeout(() => this.show(), LINGER);
      }
      this.orders.set(order.orderId, shown);
    }
    this.show();
  }

  private hearFills(message: StreamMessage): void {
    if (message.type === "snapshot") {
      // A fill is never open: the picture is empty, and the last ones are asked for once.
      if (!this.recalled && message.seq > 0) this.client.recall("trades", FILLS);
      this.recalled = true;
      return;
    }
    const fill = message.data as Fill;
    this.fills.set(fill.tradeId, fill);
    for (const [oldest] of this.fills) {
      if (this.fills.size <= FILLS) break;
      this.fills.delete(oldest);
    }
    this.show();
  }

  private hearBalances(message: StreamMessage): void {
    if (message.type === "snapshot") this.balances.clear();
    const told = message.type === "snapshot" ? (message.data as { balances: Balance[] }).balances : [message.data as Balance];
    for (const balance of told) this.balances.set(balance.currency, balance);
    this.show();
  }

  private readonly draw = (): void => {
    const now = Date.now();
    for (const [id, order] of this.orders) if (order.ended && now - order.ended >= LINGER) this.orders.delete(id);
    // What nobody looks at need not be drawn.
    if (this.panel.hidden) return;
    const orders = [...this.orders.values()].sort((a, b) => b.createdAt - a.createdAt);
    const open = orders.filter((order) => !order.ended).length;
    say(find("orders-open"), String(open));
    this.orderRows.forEach((row, at) => drawOrder(row, orders[at]));
    const fills = [...this.fills.values()];
    this.fillRows.forEach((row, at) => drawFill(row, fills.at(-1 - at)));
    const balances = [...this.balances.values()].sort((a, b) => a.currency.localeCompare(b.currency));
    this.balanceRows.forEach((row, at) => drawBalance(row, balances[at]));
  };
}

/** An order, and when it ended: it stays a moment, so that one sees how. */
interface Shown extends Order {
  ended?: number;
}

interface Row {
  row: HTMLElement;
  cells: Record<string, HTMLElement>;
}

/** All rows are there from the start and stay where they are: only their texts change, and nothing moves. */
function rows(table: string, count: number, columns: readonly string[]): Row[] {
  return Array.from({ length: count }, () => {
    const row = make("tr");
    const cells = Object.fromEntries(columns.map((column) => [column, make("td", column)]));
    row.append(...Object.values(cells));
    find(table).append(row);
    return { row, cells };
  });
}

function drawOrder({ row, cells }: Row, order: Shown | undefined): void {
  set(row, "order", order?.orderId ?? "");
  set(row, "status", order?.status ?? "");
  sides(row, order);
  say(cells["symbol"]!, order?.symbol ?? "");
  say(cells["side"]!, order ? (order.side === "BUY" ? "Buy" : "Sell") : "");
  say(cells["price"]!, order ? grouped(order.price) : "");
  say(cells["amount"]!, order ? quantity(order.quantity) : "");
  say(cells["status"]!, order ? (STATUS[order.status] ?? order.status) : "");
  const share = order ? Number(order.filledQuantity) / Number(order.quantity) : 0;
  const [bar, text] = cells["filled"]!.children as unknown as [HTMLElement, HTMLElement];
  say(text, order ? `${Math.floor(share * 100)}%` : "");
  const transform = `scaleX(${share.toFixed(3)})`;
  if (bar.style.transform !== transform) bar.style.transform = transform;
}

function drawFill({ row, cells }: Row, fill: Fill | undefined): void {
  sides(row, fill);
  say(cells["time"]!, fill ? clock(fill.time) : "");
  say(cells["symbol"]!, fill?.symbol ?? "");
  say(cells["side"]!, fill ? (fill.side === "BUY" ? "Buy" : "Sell") : "");
  say(cells["price"]!, fill ? grouped(fill.price) : "");
  say(cells["amount"]!, fill ? quantity(fill.quantity) : "");
}

function drawBalance({ cells }: Row, balance: Balance | undefined): void {
  say(cells["currency"]!, balance?.currency ?? "");
  for (const part of ["free", "locked", "total"] as const) say(cells[part]!, balance ? rounded(balance[part]) : "");
}

/** An amount with few decimals, cut off and not rounded up: nobody has less than is shown. */
function rounded(amount: string): string {
  const [whole = "", fraction = ""] = amount.split(".");
  const kept = fraction.slice(0, whole.length > 3 ? 2 : 4).replace(/0+$/, "");
  return grouped(kept ? `${whole}.${kept}` : whole);
}

function sides(row: HTMLElement, of: { side: "BUY" | "SELL" } | undefined): void {
  name(row, of === undefined ? "" : of.side === "BUY" ? "buy" : "sell");
}

function set(row: HTMLElement, key: string, value: string): void {
  if (row.dataset[key] !== value) row.dataset[key] = value;
}

const STATUS: Record<string, string> = {
  NEW: "Open",
  PARTIALLY_FILLED: "Filling",
  FILLED: "Filled",
  CANCELLED: "Cancelled",
};
const ENDED = ["FILLED", "CANCELLED", "REJECTED", "EXPIRED"];

/** How long an order that ended is shown, in milliseconds. */
const LINGER = 6_000;

/** Rows of each table. */
const ORDERS = 9;
const FILLS = 10;
const BALANCES = 4;
