// Dark or light: the system's choice until somebody chooses here.

import { find } from "./dom.js";

/** Calls `changed` whenever the colours did. */
export function watchTheme(changed: () => void): void {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = read();
  if (chosen) root.dataset["theme"] = chosen;
  find("theme").addEventListener("click", () => {
    const now = root.dataset["theme"] ?? (dark.matches ? "dark" : "light");
    root.dataset["theme"] = now === "dark" ? "light" : "dark";
    write(root.dataset["theme"]);
    changed();
  });
  dark.addEventListener("change", changed);
  changed();
}

// A browser that keeps nothing is no reason not to run.
function read(): string | null {
  try {
    const kept = localStorage.getItem("theme");
    return kept === "dark" || kept === "light" ? kept : null;
  } catch {
    return null;
  }
}

function write(theme: string): void {
  try {
    localStorage.setItem("theme", theme);
  } catch {
    return;
  }
}
