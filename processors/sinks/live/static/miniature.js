// A small sweep of a subject's main waveform: the least and the greatest value of each short bin,
// drawn about ten times a second. To see that there is a signal and of what kind; not to scale.

import { PlayClock } from "./clocks.js";

const SWEEP_MS = 6000;
const ERASE_MS = 300;
const KEPT_MS = 9000;
const SCALE_EVERY_MS = 1000;
const HEADROOM = 1.15;
const SHRINK = 2.2; // a range so many times too wide is chosen anew
const BACKGROUND = "#0c1218";
const COLORS = { ecg: "#35e0a1", pleth: "#5ccbff", respiration: "#f2dd55", motion: "#a9b8c9", other: "#d8a3ee" };
// A signal smaller than this is drawn small: noise is not made to look like a signal.
const FLOORS = { mV: 1, uV: 1000, V: 1e-3, "[g]": 0.2, "deg/s": 10, Ohm: 0.2 };

export class Miniature {
  #pen;
  #canvas;
  #clock = new PlayClock();
  #what = null; // the row's `trace`
  #bins = []; // {tMs, low, high}
  #i = 0; // next bin to draw
  #last = null; // last point drawn
  #wipedMs = 0;
  #positionMs = null;
  #low = 0;
  #high = 0;
  #scaledMs = -Infinity;
  nDrawn = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d", { alpha: false });
  }

  describe(what) {
    if (what?.id === this.#what?.id) return;
    this.#what = what;
    this.#clear();
  }

  // columns: {i, low, high}, of which some may be known; nowMs: the server's clock.
  add({ i, low, high }, nowMs) {
    if (this.#what === null || i.length === 0) return;
    const { bin_ms: binMs, scale } = this.#what;
    const newestMs = i.at(-1) * binMs;
    if (this.#bins.length > 0 && newestMs < this.#bins.at(-1).tMs - KEPT_MS) this.#clear(); // a clock was set back
    const knownMs = this.#bins.at(-1)?.tMs ?? -Infinity;
    const isFirst = knownMs === -Infinity;
    let firstMs = null;
    i.forEach((number, k) => {
      const tMs = number * binMs;
      if (tMs <= knownMs) return;
      firstMs ??= tMs;
      const [a, b] = [low[k] * scale, high[k] * scale];
      this.#bins.push({ tMs, low: Math.min(a, b), high: Math.max(a, b) });
    });
    if (firstMs === null) return;
    if (isFirst) this.#clock.observeHistory(newestMs + binMs, nowMs);
    else this.#clock.observe(firstMs, newestMs + binMs, nowMs);
    this.#forget(newestMs);
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.#canvas.clientWidth * ratio);
    const height = Math.round(this.#canvas.clientHeight * ratio);
    if (width === 0 || height === 0 || (width === this.#canvas.width && height === this.#canvas.height)) return;
    Object.assign(this.#canvas, { width, height });
    this.redraw();
  }

  advance(nowMs) {
    const { positionMs, jumped } = this.#clock.advance(nowMs);
    if (positionMs === null || this.#what === null) return;
    this.#positionMs = positionMs;
    if (this.#rescale(nowMs) || jumped) this.redraw();
    else this.#draw();
  }

  redraw() {
    this.#pen.fillStyle = BACKGROUND;
    this.#pen.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (this.#positionMs === null) return;
    this.#wipedMs = this.#positionMs + ERASE_MS;
    this.#i = 0;
    this.#last = null;
    this.#draw();
  }

  #clear() {
    this.#bins = [];
    this.#i = 0;
    this.#last = null;
    this.#positionMs = null;
    this.#low = this.#high = 0;
    this.#scaledMs = -Infinity;
    this.#clock.reset();
    this.redraw();
  }

  #forget(newestMs) {
    const n = this.#bins.findIndex((bin) => bin.tMs > newestMs - KEPT_MS);
    if (n <= 0) return;
    this.#bins.splice(0, n);
    this.#i = Math.max(0, this.#i - n);
  }

  // True when the range has changed: at once where the signal leaves it, later where it has become small.
  #rescale(nowMs) {
    if (nowMs - this.#scaledMs < SCALE_EVERY_MS || this.#bins.length === 0) return false;
    this.#scaledMs = nowMs;
    const low = Math.min(...this.#bins.map((bin) => bin.low));
    const high = Math.max(...this.#bins.map((bin) => bin.high));
    const floor = FLOORS[this.#what.unit] ?? Math.abs(this.#what.scale) * 8;
    const span = Math.max((high - low) * HEADROOM, floor);
    const isWithin = this.#high > this.#low && low >= this.#low && high <= this.#high && this.#high - this.#low < SHRINK * span;
    if (isWithin) return false;
    const middle = (low + high) / 2;
    this.#low = middle - span / 2;
    this.#high = middle + span / 2;
    return true;
  }

  #draw() {
    const { width, height } = this.#canvas;
    if (this.#high <= this.#low || width === 0) return;
    const pen = this.#pen;
    const perMs = width / SWEEP_MS;
    this.#wipe(perMs, width, height);
    const y = (value) => height - ((value - this.#low) / (this.#high - this.#low)) * height;
    const oldestMs = this.#positionMs + ERASE_MS - SWEEP_MS;
    pen.strokeStyle = COLORS[this.#what.kind] ?? COLORS.other;
    pen.lineWidth = 1.25 * (window.devicePixelRatio || 1);
    pen.lineJoin = "round";
    pen.beginPath();
    if (this.#last !== null) pen.moveTo(this.#last.x, this.#last.y);
    for (; this.#i < this.#bins.length && this.#bins[this.#i].tMs <= this.#positionMs; this.#i += 1) {
      const bin = this.#bins[this.#i];
      if (bin.tMs < oldestMs) continue;
      const x = (bin.tMs % SWEEP_MS) * perMs;
      const isJoined = this.#last !== null && x >= this.#last.x && bin.tMs - this.#last.tMs <= this.#what.join_ms;
      const [yLow, yHigh] = [y(bin.low), y(bin.high)];
      // To the nearer end first, so that the line does not go there and back.
      const isUp = this.#last === null || Math.abs(this.#last.y - yLow) <= Math.abs(this.#last.y - yHigh);
      const [y0, y1] = isUp ? [yLow, yHigh] : [yHigh, yLow];
      if (isJoined) pen.lineTo(x, y0);
      else pen.moveTo(x, y0);
      pen.lineTo(x, y1 + (y0 === y1 ? 0.01 : 0));
      this.#last = { x, y: y1, tMs: bin.tMs };
      this.nDrawn += 1;
    }
    pen.stroke();
  }

  #wipe(perMs, width, height) {
    const toMs = this.#positionMs + ERASE_MS;
    const fromMs = Math.max(this.#wipedMs, toMs - SWEEP_MS);
    if (toMs <= fromMs) return;
    const x0 = Math.floor((fromMs % SWEEP_MS) * perMs);
    const x1 = x0 + Math.ceil((toMs - fromMs) * perMs) + 1;
    this.#pen.fillStyle = BACKGROUND;
    this.#pen.fillRect(x0, 0, Math.min(x1, width) - x0, height);
    if (x1 > width) this.#pen.fillRect(0, 0, x1 - width, height);
    this.#wipedMs = toMs;
  }
}
