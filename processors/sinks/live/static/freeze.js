// A picture that stands, to be looked at: scrolled back through what is kept, and measured with two
// marks. Data go on being kept meanwhile, and the numbers go on: the page says so hugely.

import { spanWords } from "./caliper.js";
import { timeWords } from "./timeline.js";

const SCROLL_MS = 1000;
const MARK_MS = 4; // a mark's step by key; with shift ten times that
const NEAR_PX = 18; // a finger that takes a mark
const MOVED_PX = 4;
const MARKS_AT = [0.4, 0.6]; // of the picture, when they are first shown
const ENDING_MS = 60_000; // so long before a freeze ends by itself, it says so

export class Freeze {
  #board;
  #root;
  #bar = null;
  #frozenMs = null;
  #rightMs = null;
  #marks = null;
  #lastMark = 1;
  #drag = null;

  // board: what it freezes; root: the element whose pictures are dragged.
  constructor(board, root) {
    this.#board = board;
    this.#root = root;
    root.addEventListener("pointerdown", this.#down);
    root.addEventListener("pointermove", this.#move);
    root.addEventListener("pointerup", this.#up);
    root.addEventListener("pointercancel", () => { this.#drag = null; });
    root.addEventListener("wheel", this.#wheel, { passive: false });
    // Before anybody else's keys: while the picture stands, arrows move it.
    window.addEventListener("keydown", this.#key, { capture: true });
  }

  showIn(bar) {
    this.#bar = bar;
    this.#show();
  }

  get isFrozen() {
    return this.#frozenMs !== null;
  }

  get state() {
    if (!this.isFrozen) return null;
    return { frozenMs: this.#frozenMs, rightMs: this.#rightMs, marks: this.#marks };
  }

  toggle() {
    if (this.isFrozen) this.release();
    else this.freeze();
  }

  freeze() {
    const { positionMs } = this.#board;
    if (positionMs === null || this.isFrozen) return;
    this.#frozenMs = this.#rightMs = positionMs;
    this.#root.classList.add("is-frozen");
    this.#show();
  }

  release() {
    if (!this.isFrozen) return;
    this.#frozenMs = this.#rightMs = this.#marks = this.#drag = null;
    this.#root.classList.remove("is-frozen");
    this.#show();
  }

  scrollTo(rightMs) {
    if (!this.isFrozen) return;
    const firstMs = Math.min(this.#frozenMs, (this.#board.oldestMs ?? -Infinity) + this.#board.spanMs);
    this.#rightMs = Math.max(firstMs, Math.min(this.#frozenMs, rightMs));
    this.#show();
  }

  scrollBy(ms) {
    this.scrollTo(this.#rightMs + ms);
  }

  toggleCaliper() {
    if (!this.isFrozen) return;
    const leftMs = this.#rightMs - this.#board.spanMs;
    this.#lastMark = 1;
    this.#marks = this.#marks === null ? MARKS_AT.map((share) => leftMs + share * this.#board.spanMs) : null;
    this.#show();
  }

  // Two marks first: they say of what.
  annotate() {
    if (!this.isFrozen || document.body.dataset.annotates !== "yes") return;
    if (this.#marks === null) this.toggleCaliper();
    else this.#board.annotate(this.#marks);
  }

  moveMark(i, tMs) {
    if (this.#marks === null) return;
    this.#lastMark = i;
    this.#marks = this.#marks.map((mark, k) => (k === i ? tMs : mark));
    this.#show();
  }

  // Four times a second: what is shown must still be kept. The picture gives way to what is forgotten;
  // when the last of it would be, the freeze ends.
  judge() {
    if (!this.isFrozen) return;
    const leftMs = this.#board.forgottenMs;
    if (leftMs === null) return;
    const remainingMs = this.#frozenMs - leftMs - this.#board.spanMs;
    if (remainingMs <= 0) this.release();
    else if (this.#rightMs - this.#board.spanMs < leftMs) this.scrollTo(leftMs + this.#board.spanMs);
    else if (remainingMs < ENDING_MS) this.#show();
  }

  // Whatever has changed: the traces, and what the bar says.
  #show() {
    this.#board.showStrip(this.isFrozen ? { rightMs: this.#rightMs, marks: this.#marks } : null);
    this.#bar?.showFreeze({
      isFrozen: this.isFrozen,
      time: this.isFrozen ? timeWords(this.#frozenMs) : "",
      marks: this.#marks,
      measured: this.#marks === null ? "" : spanWords(this.#marks),
      ending: this.#endingWords(),
    });
  }

  #endingWords() {
    const leftMs = this.#board.forgottenMs;
    if (!this.isFrozen || leftMs === null) return "";
    const remainingMs = this.#frozenMs - leftMs - this.#board.spanMs;
    return remainingMs < ENDING_MS ? `live again in ${Math.ceil(remainingMs / 1000)}\u00a0s` : "";
  }

  #down = (event) => {
    const trace = this.isFrozen && event.button === 0 ? this.#board.traceAt(event) : null;
    if (trace === null) return;
    const msPerPx = trace.spanMs / event.target.clientWidth;
    this.#drag = {
      trace, msPerPx, rightMs: this.#rightMs, x: event.clientX, isMoved: false,
      mark: this.#nearestMark(trace.timeAt(event.clientX), NEAR_PX * msPerPx),
    };
    this.#root.setPointerCapture(event.pointerId);
    event.preventDefault();
    event.stopPropagation();
  };

  #move = (event) => {
    const drag = this.#drag;
    if (drag === null) return;
    const dx = event.clientX - drag.x;
    drag.isMoved ||= Math.abs(dx) >= MOVED_PX;
    if (!drag.isMoved) return;
    if (drag.mark === null) this.scrollTo(drag.rightMs - dx * drag.msPerPx);
    else this.moveMark(drag.mark, drag.trace.timeAt(event.clientX));
  };

  // Two taps measure: each brings the mark that was brought before the other.
  #up = (event) => {
    const drag = this.#drag;
    this.#drag = null;
    if (drag === null || drag.isMoved || this.#marks === null) return;
    this.moveMark(1 - this.#lastMark, drag.trace.timeAt(event.clientX));
  };

  #nearestMark(tMs, withinMs) {
    if (this.#marks === null) return null;
    const [a, b] = this.#marks.map((mark) => Math.abs(mark - tMs));
    if (Math.min(a, b) > withinMs) return null;
    return a <= b ? 0 : 1;
  }

  #wheel = (event) => {
    const pixels = event.deltaX !== 0 ? event.deltaX : event.shiftKey ? event.deltaY : 0;
    if (!this.isFrozen || pixels === 0) return;
    event.preventDefault();
    this.scrollBy((pixels * this.#board.spanMs) / this.#root.clientWidth);
  };

  #key = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.#root.checkVisibility()) return;
    if (event.target.closest?.("input, select, textarea, dialog")) return;
    const isOnButton = event.target.closest?.("button, a, summary") != null;
    if (event.key === " " && isOnButton) return;
    const act = this.#actionOf(event);
    if (act === undefined) return;
    act();
    event.preventDefault();
    event.stopImmediatePropagation();
  };

  #actionOf({ key, shiftKey, target }) {
    if (key === "f" || key === "F" || key === " ") return () => this.toggle();
    if (!this.isFrozen) return undefined;
    const mark = target.dataset?.mark;
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (direction !== undefined && mark !== undefined && this.#marks !== null) {
      return () => this.moveMark(Number(mark), this.#marks[mark] + direction * MARK_MS * (shiftKey ? 10 : 1));
    }
    if (direction !== undefined) return () => this.scrollBy(direction * (shiftKey ? this.#board.spanMs : SCROLL_MS));
    return {
      Home: () => this.scrollTo(-Infinity),
      End: () => this.scrollTo(Infinity),
      PageUp: () => this.scrollBy(-this.#board.spanMs),
      PageDown: () => this.scrollBy(this.#board.spanMs),
      Escape: () => this.release(),
      c: () => this.toggleCaliper(),
      l: () => this.annotate(),
    }[key];
  }
}
