// Where an instant stands on the canvas. The live sweep goes round and round; the strip of a frozen
// picture has a left edge and a right one.

export class Axis {
  constructor({ spanMs, width, leftMs = 0, wraps = false }) {
    Object.assign(this, { spanMs, width, leftMs, wraps, perMs: width / spanMs });
  }

  turnOf(tMs) {
    return this.wraps ? Math.floor((tMs - this.leftMs) / this.spanMs) : 0;
  }

  startOf(turn) {
    return this.leftMs + turn * this.spanMs;
  }

  x(tMs, turn = this.turnOf(tMs)) {
    return (tMs - this.leftMs - turn * this.spanMs) * this.perMs;
  }

  // Calls draw(x0, x1, t0, t1) for a stretch of time, once for each turn that it touches.
  stretch(fromMs, toMs, draw) {
    const from = Math.max(fromMs, this.wraps ? toMs - this.spanMs : this.leftMs);
    const to = this.wraps ? toMs : Math.min(toMs, this.leftMs + this.spanMs);
    if (to <= from) return;
    const last = this.turnOf(to);
    for (let turn = this.turnOf(from); turn <= last; turn += 1) {
      const t0 = Math.max(from, this.startOf(turn));
      const t1 = Math.min(to, this.startOf(turn + 1));
      if (t1 > t0) draw(this.x(t0, turn), this.x(t1, turn), t0, t1);
    }
  }
}
