// What a server says on `/v1/ws`, as types. Prices and quantities are decimal texts, times milliseconds.

/** Price and quantity. */
export type Level = [price: string, quantity: string];

/** A message of a topic. */
export interface StreamMessage {
  type: "snapshot" | "delta" | "update" | "stale";
  topic: string;
  epoch: string;
  seq: number;
  /** Deltas: the `seq` of the state that it applies to. */
  prevSeq?: number;
  /** Deltas: how many of the source's updates it stands for, when more than one. */
  merged?: number;
  /** `false` when `since` could not be met. */
  recovered?: boolean;
  /** `true` when a closed bar changed after all. */
  correction?: boolean;
  /** Private topics: one rising number over all that happens to the user. */
  userSeq?: number;
  /** When the server took the update in. */
  ts: number;
  data?: unknown;
}

export interface Trade {
  tradeId: number | string;
  symbol: string;
  price: string;
  quantity: string;
  side?: "BUY" | "SELL";
  time: number;
}

export interface Ticker {
  symbol: string;
  lastPrice?: string;
  priceChange?: string;
  priceChangePercent?: string;
  high24h?: string;
  low24h?: string;
  volume24h?: string;
  quoteVolume24h?: string;
  bidPrice?: string;
  bidQty?: string;
  askPrice?: string;
  askQty?: string;
  openTime: number;
  closeTime: number;
  time: number;
}

export interface Bar {
  symbol: string;
  interval: string;
  openTime: number;
  closeTime: number;
  open: string;
  high: string;
  low: string;
  close: string;
  volume: string;
  quoteVolume: string;
  trades: number;
  closed: boolean;
}

/** An order, as the demo's trader publishes it. */
export interface Order {
  orderId: string;
  symbol: string;
  side: "BUY" | "SELL";
  type: string;
  status: string;
  price: string;
  quantity: string;
  filledQuantity: string;
  createdAt: number;
  time: number;
}

/** A fill of one's own. */
export interface Fill {
  tradeId: string;
  orderId: string;
  symbol: string;
  side: "BUY" | "SELL";
  price: string;
  quantity: string;
  time: number;
}

export interface Balance {
  currency: string;
  free: string;
  locked: string;
  total: string;
}

/** An answer to something that the client sent. */
export interface Answer {
  type: "ok" | "error";
  id?: number;
  op?: string;
  topics?: string[];
  /** The server's time, in the answer to a ping. */
  ts?: number;
  code?: string;
  message?: string;
  topic?: string;
}
