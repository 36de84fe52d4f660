// Numbers and times as people read them. Prices stay the server's texts.

/** 1234567.891 as 1.23M, for volumes; for the eye only. */
export function short(text: string | undefined): string {
  const number = Number(text);
  if (text === undefined || !Number.isFinite(number)) return "–";
  const magnitude = Math.abs(number);
  for (const [unit, size] of UNITS) if (magnitude >= size) return (number / size).toFixed(2) + unit;
  return magnitude >= 100 ? number.toFixed(1) : number.toFixed(magnitude >= 1 ? 2 : 4);
}

const UNITS: readonly (readonly [string, number])[] = [["B", 1e9], ["M", 1e6], ["K", 1e3]];

/** A price with its thousands set apart; exact, because only the text is touched. */
export function grouped(price: string | undefined): string {
  if (price === undefined) return "–";
  const [whole = "", fraction] = price.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}

/** A quantity in at most `most` characters; zeros at its end say nothing. */
export function quantity(text: string, most = 8): string {
  const plain = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  if (plain.length <= most) return plain;
  const [whole = ""] = plain.split(".");
  return whole.length >= most - 1 ? short(text) : plain.slice(0, most).replace(/\.$/, "");
}

/** The time of day in UTC. */
export function clock(time: number): string {
  return new Date(time).toISOString().slice(11, 19);
}

export function signed(percent: string | undefined): string {
  if (percent === undefined) return "–";
  return `${percent.startsWith("-") ? "" : "+"}${percent}%`;
}

/** Decimals behind the point of a price. */
export function decimals(price: string): number {
  const point = price.indexOf(".");
  return point < 0 ? 0 : price.length - point - 1;
}
