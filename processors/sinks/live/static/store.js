// The samples of one waveform: the last minutes, in one typed array that is filled round and round.
//
// A sample has a number, counted from the first that came. A run is a stretch of them whose times
// follow from the first one's, so that a clock that was corrected begins another.

export const KEPT_S = 600; // what is older is forgotten
const SAMPLES_MIN = 1 << 16; // any message fits
const SAMPLES_MAX = 1 << 19; // of more than 870 Hz less than ten minutes are kept
const RUNS_MAX = 4096; // beyond, the oldest is forgotten
const STEP_MS = 2; // within a run a sample stands so near to its time
const JOIN_MS = 200; // a step of the clock smaller than this does not part the line

export class SampleStore {
  #values;
  #runs = []; // {first, n, iFirst, t0Ms, isJoined}
  #end = 0; // number of the next sample
  #floor = 0; // what has a smaller number was written over

  constructor(periodMs) {
    this.periodMs = periodMs;
    const wanted = Math.ceil((KEPT_S * 1000) / periodMs);
    this.#values = new Float32Array(Math.max(SAMPLES_MIN, Math.min(SAMPLES_MAX, wanted)));
  }

  get end() {
    return this.#end;
  }

  get runs() {
    return this.#runs;
  }

  value(number) {
    return this.#values[number % this.#values.length];
  }

  endMs(run) {
    return run.t0Ms + run.n * this.periodMs;
  }

  get oldestMs() {
    if (this.#runs.length === 0) return null;
    const [run] = this.#runs;
    return run.t0Ms + Math.max(0, this.#floor - run.first) * this.periodMs;
  }

  // From here on everything that came is kept; null: nothing was forgotten yet.
  get forgottenMs() {
    return this.#floor === 0 ? null : this.oldestMs;
  }

  // Returns {low, high, missing}: the range of what came, and the time from the last sample to the
  // first of these where some between them are missing, else null.
  add({ iFirst, t0Ms, counts }, scale, offset) {
    const last = this.#runs.at(-1);
    const lastMs = last === undefined ? t0Ms : this.endMs(last);
    const nMissing = last === undefined ? 0 : iFirst - last.iFirst - last.n;
    const run = this.#runFor(last, { iFirst, t0Ms, nMissing, stepMs: Math.abs(t0Ms - lastMs) });
    const size = this.#values.length;
    let low = Infinity;
    let high = -Infinity;
    for (const count of counts) {
      const value = count * scale + offset;
      this.#values[this.#end % size] = value;
      this.#end += 1;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    run.n += counts.length;
    this.#forget();
    return { low, high, missing: nMissing > 0 && t0Ms > lastMs ? [lastMs, t0Ms] : null };
  }

  #runFor(last, { iFirst, t0Ms, nMissing, stepMs }) {
    const follows = last !== undefined && nMissing === 0;
    if (follows && stepMs < STEP_MS) return last;
    const run = { first: this.#end, n: 0, iFirst, t0Ms, isJoined: follows && stepMs < JOIN_MS };
    this.#runs.push(run);
    return run;
  }

  #forget() {
    this.#floor = Math.max(this.#floor, this.#end - this.#values.length);
    let n = Math.max(0, this.#runs.length - RUNS_MAX);
    while (n < this.#runs.length - 1 && this.#runs[n].first + this.#runs[n].n <= this.#floor) n += 1;
    if (n > 0) this.#runs.splice(0, n);
  }

  // After a reconnection the server tells again what the page may have already.
  cutFrom(tMs) {
    while (this.#runs.length > 0) {
      const run = this.#runs.at(-1);
      const n = Math.max(0, Math.min(run.n, Math.ceil((tMs - run.t0Ms) / this.periodMs - 0.5)));
      if (n === run.n) return;
      this.#end = Math.max(this.#floor, run.first + n);
      if (n > 0 && run.first + n > this.#floor) {
        run.n = n;
        return;
      }
      this.#runs.pop();
    }
  }

  // Place in `runs` of the first one that has samples from this number on.
  indexFrom(number) {
    let i = this.#runs.length;
    while (i > 0 && this.#runs[i - 1].first + this.#runs[i - 1].n > number) i -= 1;
    return i;
  }

  // Calls visit(run, j0, j1) for the samples j0 to j1 of each run that stand from fromMs to toMs.
  visit(fromMs, toMs, visit) {
    for (const run of this.#runs) {
      if (run.t0Ms > toMs || this.endMs(run) < fromMs) continue;
      const j0 = Math.max(0, this.#floor - run.first, Math.floor((fromMs - run.t0Ms) / this.periodMs));
      const j1 = Math.min(run.n - 1, Math.ceil((toMs - run.t0Ms) / this.periodMs));
      if (j0 <= j1) visit(run, j0, j1);
    }
  }

  // The value at an instant, between two samples on the line that joins them; null in a gap.
  at(tMs) {
    let found = null;
    this.visit(tMs, tMs, (run, j0, j1) => {
      const j = Math.min(Math.max((tMs - run.t0Ms) / this.periodMs, j0), j1);
      const before = this.value(run.first + Math.floor(j));
      const after = this.value(run.first + Math.ceil(j));
      found = before + (after - before) * (j - Math.floor(j));
    });
    return found;
  }
}
