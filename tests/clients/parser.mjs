// What npm's socket.io-parser makes of each packet: one JSON text a line comes in, one verdict a line goes out.
// A packet that waits for attachments gets as many as it asks for.
import { createInterface } from "node:readline";
import { Decoder } from "socket.io-parser";

for await (const line of createInterface({ input: process.stdin })) {
  const decoder = new Decoder();
  let found = null;
  decoder.on("decoded", (packet) => (found = packet));
  try {
    decoder.add(JSON.parse(line));
    while (decoder.reconstructor) decoder.add(Buffer.from([1]));
    const id = Number.isSafeInteger(found.id) ? found.id : null;
    console.log(JSON.stringify({ type: found.type, nsp: found.nsp, id, data: found.data !== undefined }));
  } catch (error) {
    console.log("null");
  }
}
