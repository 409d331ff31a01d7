// Two clocks: the server's wall clock as this page knows it, and the place of the sweep.

const HEARTBEATS_KEPT = 30;
const STEP_MS = 1000; // a heartbeat this far from the others means that a clock was set

const SLEPT_MS = 1000; // the wall clock this far ahead at once: the computer slept, or was set

// A clock that never goes back, and that counts the time that the computer slept: in most browsers
// performance.now() does not, and a number from before would look as new as it was then.
let sleptMs = 0;
let aheadMs = Date.now() - performance.now();

export function pageNowMs() {
  const nowMs = performance.now();
  const ahead = Date.now() - nowMs;
  if (ahead - aheadMs > SLEPT_MS) sleptMs += ahead - aheadMs;
  aheadMs = ahead;
  return performance.timeOrigin + nowMs + sleptMs;
}

export class ServerClock {
  #differences = [];
  #offsetMs = 0;

  // The smallest difference is that of the message that waited least on its way.
  observe(serverMs, pageMs) {
    const difference = pageMs - serverMs;
    if (Math.abs(difference - this.#offsetMs) > STEP_MS) this.#differences = [];
    this.#differences.push(difference);
    if (this.#differences.length > HEARTBEATS_KEPT) this.#differences.shift();
    this.#offsetMs = Math.min(...this.#differences);
  }

  nowMs() {
    return pageNowMs() - this.#offsetMs;
  }

  // How long ago the server was told: what it kept for a page that opens is as old as it is.
  waitedMs(heardMs) {
    return heardMs === null ? 0 : Math.max(0, this.nowMs() - heardMs);
  }
}

const MARGIN_MS = 60; // beyond the worst that was seen lately
const DELAY_MS_MIN = 120;
const SPREAD_MS_MAX = 2000; // what comes later than this is drawn behind the sweep, in its place
const JUMP_MS = 4000; // further than this the sweep jumps; nearer, it runs a little slower or faster
const SETTLING_MS = 2000; // at the start the sweep takes its place at once
const SETTLING_JUMP_MS = 60;
const WINDOW_S = 10;

// The sweep stands at an event time. It runs at the speed of time, so far behind the newest samples
// that the next ones have come before they are needed: as late as the stream is, and no later.
export class PlayClock {
  #seconds = []; // of the last WINDOW_S: {second, lagMs, needMs}
  #positionMs = null;
  #atMs = 0;
  #startedMs = 0;

  // Samples from firstMs to lastMs came at nowMs.
  observe(firstMs, lastMs, nowMs) {
    const entry = this.#entry(nowMs);
    entry.lagMs = Math.min(entry.lagMs, nowMs - lastMs);
    entry.needMs = Math.max(entry.needMs, nowMs - firstMs);
  }

  // Samples up to lastMs were there already: they say where to stand, not how late others come.
  observeHistory(lastMs, nowMs) {
    const entry = this.#entry(nowMs);
    entry.lagMs = Math.min(entry.lagMs, nowMs - lastMs);
  }

  #entry(nowMs) {
    const second = Math.floor(nowMs / 1000);
    let entry = this.#seconds.at(-1);
    if (entry === undefined || entry.second !== second) {
      entry = { second, lagMs: Infinity, needMs: -Infinity };
      this.#seconds.push(entry);
      while (second - this.#seconds[0].second >= WINDOW_S) this.#seconds.shift();
    }
    return entry;
  }

  // How far the newest samples are behind the clock: of a replay, years.
  get lagMs() {
    return this.#seconds.length === 0 ? null : Math.min(...this.#seconds.map((entry) => entry.lagMs));
  }

  get delayMs() {
    const lag = this.lagMs;
    if (lag === null) return null;
    // Without the worst second: one stall is drawn late, and does not make all that follows late.
    const needs = this.#seconds.map((entry) => entry.needMs).sort((a, b) => b - a);
    const need = needs[Math.min(1, needs.length - 1)];
    return lag + Math.max(DELAY_MS_MIN, Math.min(need - lag, SPREAD_MS_MAX) + MARGIN_MS);
  }

  // Move to nowMs. Returns the event time of the sweep, or null before the first samples.
  advance(nowMs) {
    const delay = this.delayMs;
    if (delay === null) return { positionMs: null, jumped: false };
    const targetMs = nowMs - delay;
    const elapsedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    const errorMs = this.#positionMs === null ? Infinity : targetMs - (this.#positionMs + elapsedMs);
    if (this.#positionMs === null) this.#startedMs = nowMs;
    const isSettling = nowMs - this.#startedMs < SETTLING_MS;
    const jumped = Math.abs(errorMs) > (isSettling ? SETTLING_JUMP_MS : JUMP_MS);
    if (jumped) this.#positionMs = targetMs;
    else this.#positionMs += elapsedMs * speed(errorMs);
    return { positionMs: this.#positionMs, jumped };
  }

  reset() {
    this.#seconds = [];
    this.#positionMs = null;
  }
}

// Never so far from the speed of time that a rhythm would look like another one.
function speed(errorMs) {
  if (Math.abs(errorMs) < 10) return 1;
  return 1 + Math.max(-0.1, Math.min(0.08, errorMs / 1000));
}
