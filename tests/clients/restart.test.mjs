// Stock clients of a server that dies and comes back: they come back by themselves, and hear again.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { CLIENTS, heard, market } from "./stock.mjs";

test("every client comes back to a server that was killed", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "tickcast-"));
  const server = await market(folder);
  t.after(async () => {
    await server.kill();
    await rm(folder, { recursive: true });
  });
  const token = await server.token("u1");
  const sockets = CLIENTS.flatMap(({ name, io }) => [
    client(`maven, ${name}`, io(`${server.url}/ws`, { auth: { token } }), "trade", { channel: "trades", symbol: "BTCUSDT" }),
    client(`tradewithai, ${name}`, io(server.url, { auth: { token } }), "trade:executed", { channel: "market-data", symbols: ["BTCUSDT"] }),
  ]);
  await Promise.all(sockets.map(({ hears }) => hears()));
  const gone = sockets.map(({ socket }) => heard(socket, "disconnect"));
  await server.kill();
  for (const reason of await Promise.all(gone)) assert.match(reason, /^transport (close|error)$/);
  await server.start();
  await Promise.all(sockets.map(({ hears }) => hears()));
  for (const { name, socket, greeted } of sockets) {
    assert.equal(greeted(), 2, `${name} was greeted twice`);
    socket.close();
  }
});

/** A client that subscribes whenever it is greeted, as applications do. */
function client(name, socket, event, wanted) {
  let greeted = 0;
  socket.on("connected", () => {
    greeted += 1;
    socket.emit("subscribe", wanted);
  });
  return { name, socket, hears: () => heard(socket, event), greeted: () => greeted };
}
