// The bars of a chart, whatever comes: a chart that throws as lightweight-charts does must never throw, and
// in the end shows what the server holds. (tests/browser does the same with lightweight-charts itself.)

import { test } from "node:test";

import { load } from "./load.mjs";
import { run, Strict } from "./market.mjs";

const { Bars } = await load("bars.ts");

test("a chart never throws and ends with the server's bars, whatever comes", () => {
  for (let seed = 1; seed <= 400; seed += 1) run(seed, Bars, new Strict());
});
