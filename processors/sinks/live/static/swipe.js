// A finger that goes sideways over the bedside view: the next subject, or the one before.

const DISTANCE_PX = 80;
const SLOPE_MAX = 0.5; // more than this is scrolling
const TIME_MS = 700;

// onSwipe(step): +1 to the left, as one turns a page. isFor(target): whether a finger there may.
export function listenToSwipes(node, onSwipe, isFor = () => true) {
  let start = null;
  node.addEventListener("touchstart", (event) => {
    const [touch] = event.touches;
    start = event.touches.length === 1 && isFor(event.target)
      ? { x: touch.clientX, y: touch.clientY, atMs: event.timeStamp } : null;
  }, { passive: true });
  node.addEventListener("touchcancel", () => { start = null; }, { passive: true });
  node.addEventListener("touchend", (event) => {
    if (start === null) return;
    const [touch] = event.changedTouches;
    const dx = touch.clientX - start.x;
    const dy = touch.clientY - start.y;
    const isQuick = event.timeStamp - start.atMs < TIME_MS;
    start = null;
    if (isQuick && Math.abs(dx) > DISTANCE_PX && Math.abs(dy) < SLOPE_MAX * Math.abs(dx)) onSwipe(dx < 0 ? 1 : -1);
  }, { passive: true });
}
