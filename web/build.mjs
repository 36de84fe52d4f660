// Builds the page into dist/, which is part of the repository so that `cargo build` needs no Node.
// `node build.mjs --check` builds nothing and fails where dist/ is not what the sources give.

import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const here = new URL("./", import.meta.url);
const read = (path) => readFile(new URL(path, here));

const bundle = async (entry, more) => {
  const result = await build({
    entryPoints: [new URL(entry, here).pathname],
    absWorkingDir: here.pathname.replace(/\/$/, ""),
    bundle: true,
    minify: true,
    write: false,
    charset: "utf8",
    legalComments: "eof",
    logLevel: "warning",
    ...more,
  });
  return Buffer.from(result.outputFiles[0].contents);
};

const package_ = async (name) => JSON.parse(await read(`node_modules/${name}/package.json`));

const licences = async () => {
  const parts = ["The page contains these parts by others.\n"];
  for (const name of ["lightweight-charts", "fancy-canvas"]) {
    const { version, license } = await package_(name);
    const text = await read(`node_modules/${name}/LICENSE`).catch(() => undefined);
    parts.push(`== ${name} ${version} (${license})\n`);
    if (name === "lightweight-charts") {
      parts.push("TradingView Lightweight Charts™, Copyright (c) 2025 TradingView, Inc. https://www.tradingview.com/\n");
    }
    if (text) parts.push(text.toString().replace(/[ \t]+$/gm, "").trimEnd() + "\n");
  }
  return Buffer.from(parts.join("\n"));
};

const files = {
  "index.html": await read("src/index.html"),
  "icon.svg": await read("src/icon.svg"),
  "page.js": await bundle("src/page.ts", { format: "esm", target: "es2022" }),
  "page.css": await bundle("src/page.css", { target: ["chrome123", "firefox120", "safari17.5"] }),
  "licences.txt": await licences(),
};

let stale = false;
for (const [name, content] of Object.entries(files)) {
  const path = new URL(`dist/${name}`, here);
  if (process.argv.includes("--check")) {
    const held = await readFile(path).catch(() => Buffer.alloc(0));
    if (!held.equals(content)) {
      stale = true;
      console.error(`web/dist/${name} is not what its sources give: run 'npm ci && npm run build' in web/ and commit it`);
    }
  } else {
    await writeFile(path, content);
    console.log(`dist/${name} ${content.length}`);
  }
}
process.exit(stale ? 1 : 0);
