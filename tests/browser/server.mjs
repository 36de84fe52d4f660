// A server for the tests.

import { execFile, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A server with a page, on a port that stays the same when it is started again. */
export class Server {
  static async start(more = [], environment = {}) {
    const server = new Server();
    server.port = await freePort();
    server.more = more;
    server.environment = { JWT_SECRET: "a secret of thirty-two bytes or so", ...environment };
    await server.start();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async start() {
    const listen = ["--listen", `127.0.0.1:${this.port}`];
    const command = this.more.length ? ["serve", "--source", "simulated", "--page", ...listen, ...this.more] : ["demo", ...listen];
    this.process = spawn(process.env.TICKCAST, command, {
      env: { ...process.env, ...this.environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.ended = new Promise((ended) => this.process.once("exit", ended));
    const lines = createInterface({ input: this.process.stderr });
    await new Promise((resolve, reject) => {
      lines.on("line", (line) => line.includes("listening") && resolve());
      this.process.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    await until("a book is good", async () => (await fetch(`${this.url}/readyz`)).ok);
  }

  /** As the kernel does it when memory is out: nobody is told. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  /** What a client of this user connects with. */
  async token(user, ...more) {
    const made = await run(process.env.TICKCAST, ["token", "--user", user, ...more], { env: { ...process.env, ...this.environment } });
    return made.stdout.trim();
  }

  /** What was right in 1970. */
  expired(user) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, exp: 1 })}`;
    return `${text}.${createHmac("sha256", this.environment.JWT_SECRET).update(text).digest("base64url")}`;
  }

  /** Hands in what happened, all of which must be taken. */
  async publish(...objects) {
    this.publisher ??= await this.token("backend", "--scope", "publish");
    const headers = { Authorization: `Bearer ${this.publisher}` };
    const answer = await fetch(`${this.url}/publish`, { method: "POST", headers, body: JSON.stringify(objects) });
    const told = await answer.json();
    if (!answer.ok || told.rejected.length > 0) throw new Error(`publish: ${answer.status} ${JSON.stringify(told)}`);
  }

  async get(path) {
    const answer = await fetch(this.url + path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}

/** Looks again and again until something holds. */
export async function until(what, holds, patience = 30_000) {
  const deadline = Date.now() + patience;
  let last;
  for (;;) {
    try {
      const found = await holds();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`, { cause: last });
    await new Promise((again) => setTimeout(again, 10));
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
