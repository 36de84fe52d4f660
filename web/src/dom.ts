// The few things done to the document again and again.

/** An element that the page was built with. */
export function find<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, name = ""): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (name) made.className = name;
  return made;
}

/** Sets a text where it is another: the same text set again would still cost a layout. */
export function say(element: HTMLElement, text: string): void {
  const node = element.firstChild as Text | null;
  if (!node) element.textContent = text;
  else if (node.data !== text) node.data = text;
}

export function name(element: HTMLElement, value: string): void {
  if (element.className !== value) element.className = value;
}
