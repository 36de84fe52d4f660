// One drawing a frame, however many updates come: parts say that they are to be drawn, and are, once.

type Draw = () => void;

const waiting = new Set<Draw>();
let asked = false;
const painted: (() => void)[] = [];
const channel = new MessageChannel();

/** Has `draw` called in the next frame. */
export function soon(draw: Draw): void {
  waiting.add(draw);
  if (!asked) {
    asked = true;
    requestAnimationFrame(frame);
  }
}

/** Has `then` called after each frame in which something was drawn, once it is on its way to the screen. */
export function afterPaint(then: () => void): void {
  painted.push(then);
}

function frame(): void {
  asked = false;
  const now = [...waiting];
  waiting.clear();
  for (const draw of now) draw();
  // A task that is posted in a frame runs after that frame was painted.
  channel.port2.postMessage(0);
}

channel.port1.onmessage = () => {
  for (const then of painted) then();
};
