// Two views of one place, switched as tabs are: by pointer, and with arrows by keyboard.

import { find } from "./dom.js";

/** Makes `tab-NAME` show the element `NAME`, for each of `names`; `chosen` hears which is shown. */
export function tabs(names: readonly string[], chosen: (name: string) => void): (name: string) => void {
  const buttons = names.map((name) => find<HTMLButtonElement>(`tab-${name}`));
  const choose = (name: string): void => {
    names.forEach((other, at) => {
      const isChosen = other === name;
      const button = buttons[at]!;
      button.setAttribute("aria-selected", String(isChosen));
      // One stop for the tab key; arrows go on from there.
      button.tabIndex = isChosen ? 0 : -1;
      find(other).hidden = !isChosen;
    });
    chosen(name);
  };
  buttons.forEach((button, at) => {
    button.addEventListener("click", () => choose(names[at]!));
    button.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step === 0) return;
      event.preventDefault();
      const next = (at + step + names.length) % names.length;
      buttons[next]!.focus();
      choose(names[next]!);
    });
  });
  return choose;
}
