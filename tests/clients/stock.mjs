// What the tests of stock clients share: which clients there are, and how to wait for what they hear.

import assert from "node:assert/strict";
import { io as newest } from "socket.io-client";
import { io as oldest } from "socket.io-client-oldest";

import { Server } from "../browser/server.mjs";

/** Each version over each choice of transports. */
export const CLIENTS = [["4.8.4", newest], ["4.0.0", oldest]].flatMap(([version, io]) =>
  [["websocket", ["websocket"]], ["polling", ["polling"]], ["its defaults", undefined]].map(([over, transports]) => ({
    name: `socket.io-client ${version} over ${over}`,
    // Nobody waits long here for a server that is away.
    io: (url, options) =>
      io(url, { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500, ...(transports && { transports }), ...options }),
  })),
);

/** A market of three symbols, and a place for what happens to users. */
export function market(folder) {
  return Server.start(["--symbols", "BTCUSDT,BTC/USD,ETH/USD", "--rate", "100", "--data-dir", folder]);
}

/** The first event of this name that fits. */
export function heard(socket, name, fits = () => true) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} came`)), PATIENCE);
    socket.on(name, function listen(value) {
      if (!fits(value)) return;
      clearTimeout(timer);
      socket.off(name, listen);
      resolve(value);
    });
  });
}

/** The answer to an event that asks for one. */
export function asked(socket, ...words) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${words[0]} was not answered`)), PATIENCE);
    socket.emit(...words, (answer) => (clearTimeout(timer), resolve(answer)));
  });
}

/** What an event answers its callback is what the client is told besides. */
export async function agreed(socket, name, ...words) {
  const told = heard(socket, name);
  const answer = await asked(socket, ...words);
  assert.deepEqual(answer, await told);
  return answer;
}

/** The code of the error that the words lead to; nobody is disconnected for it. */
export async function fault(socket, ...words) {
  const { message, code, timestamp } = await agreed(socket, "error", ...words);
  assert.ok(message.length > 5 && timestamp);
  assert.ok(socket.connected, "errors disconnect nobody");
  return code;
}

/** Who may not come in is told why. */
export async function refused(socket) {
  const error = await heard(socket, "connect_error");
  assert.match(error.message, /^UNAUTHORIZED: /);
  assert.equal(error.data.code, "UNAUTHORIZED");
  socket.close();
}

/** Nothing that a test waits for takes longer. */
const PATIENCE = 30_000;
