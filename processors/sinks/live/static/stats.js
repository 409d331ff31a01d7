// What the page did, for tests and for the footer.

const KEPT = 1000;

export class Percentiles {
  #values = new Float64Array(KEPT);
  #n = 0;

  add(value) {
    this.#values[this.#n % KEPT] = value;
    this.#n += 1;
  }

  clear() {
    this.#n = 0;
  }

  read() {
    const n = Math.min(this.#n, KEPT);
    if (n === 0) return { n: 0, p50: null, p95: null };
    const sorted = this.#values.slice(0, n).sort();
    return { n: this.#n, p50: sorted[Math.floor(n * 0.5)], p95: sorted[Math.floor(n * 0.95)] };
  }
}

export class FrameRate {
  #times = [];
  nFrames = 0;

  add(atMs) {
    this.nFrames += 1;
    this.#times.push(atMs);
    if (this.#times.length > 120) this.#times.shift();
  }

  get perSecond() {
    const n = this.#times.length - 1;
    return n < 1 ? 0 : (1000 * n) / (this.#times[n] - this.#times[0]);
  }
}
