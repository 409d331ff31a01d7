// A scale that stays: it grows at once when a trace would leave the picture, and shrinks only when
// the trace has been small for a while. One artefact does not change it.

const STEPS = [1, 1.5, 2, 3, 5, 7.5];
const SECONDS_KEPT = 6;
const SECONDS_SMALL = 8;
const HEADROOM = 1.2;
const EDGE = 0.03; // of the span; nearer to the edge is as good as outside

export class SteadyScale {
  #bins = []; // {second, low, high}
  #nSmall = 0;
  #floor;
  center = 0;
  span = 0; // units from the bottom of the trace to its top; 0: nothing was seen yet

  constructor(floor) {
    this.#floor = floor;
  }

  // Take values of one event-time second; returns true when the scale has changed.
  observe(second, low, high) {
    const bin = this.#bins.at(-1);
    if (bin !== undefined && bin.second === second) {
      bin.low = Math.min(bin.low, low);
      bin.high = Math.max(bin.high, high);
      return this.span === 0 && this.#choose(bin.low, bin.high);
    }
    const changed = this.#bins.length > 0 && this.#judge();
    this.#bins.push({ second, low, high });
    if (this.#bins.length > SECONDS_KEPT) this.#bins.shift();
    return changed;
  }

  #judge() {
    const [low, high] = this.#range();
    const half = this.span * (0.5 - EDGE);
    const top = this.center + half;
    const bottom = this.center - half;
    if (this.span === 0 || high > top || low < bottom) return this.#choose(low, high);
    const fits = stepAbove(Math.max((high - low) * HEADROOM, this.#floor));
    const offCenter = Math.abs((high + low) / 2 - this.center) > this.span * 0.2;
    const isSmall = this.#bins.length >= SECONDS_KEPT && (fits < this.span * 0.55 || offCenter);
    this.#nSmall = isSmall ? this.#nSmall + 1 : 0;
    return this.#nSmall >= SECONDS_SMALL && this.#choose(low, high);
  }

  // The range without the one most extreme second on each side.
  #range() {
    const lows = this.#bins.map((bin) => bin.low).sort((a, b) => a - b);
    const highs = this.#bins.map((bin) => bin.high).sort((a, b) => b - a);
    const i = this.#bins.length >= 4 ? 1 : 0;
    return [lows[i], highs[i]];
  }

  #choose(low, high) {
    const span = stepAbove(Math.max((high - low) * HEADROOM, this.#floor));
    const center = (high + low) / 2;
    const changed = span !== this.span || Math.abs(center - this.center) > span * 0.02;
    this.#nSmall = 0;
    if (changed) Object.assign(this, { span, center });
    return changed;
  }
}

const GAINS_AUTO = [20, 10, 5, 2.5, 1.25, 0.625]; // mm/mV
const STEADY_SHARE = 2 * (0.5 - EDGE); // of its span, a steady scale lets a trace fill so much

// An ECG on paper: so many millimetres are a millivolt. The board chooses the gain, one for all.
export class PaperScale {
  #steady = new SteadyScale(0.2);
  #heightMm = 0;
  center = 0;
  span = 0;
  gain = 0; // mm/mV; 0: nothing was chosen yet

  setHeight(heightMm) {
    this.#heightMm = heightMm;
    this.#fit();
  }

  // Returns whether something has changed.
  setGain(gain) {
    const before = [this.gain, this.span, this.center];
    this.gain = gain;
    this.#fit();
    return before.some((value, i) => value !== [this.gain, this.span, this.center][i]);
  }

  observe(second, low, high) {
    const changed = this.#steady.observe(second, low, high);
    if (changed) this.#fit();
    return changed;
  }

  // The largest of the usual gains at which the trace stays in the picture; null before it began.
  get fitting() {
    if (this.#steady.span === 0 || this.#heightMm === 0) return null;
    return GAINS_AUTO.find((gain) => this.#heightMm / gain >= this.#needed) ?? GAINS_AUTO.at(-1);
  }

  // A gain that was chosen by hand may leave no room.
  get isCut() {
    return this.span > 0 && this.span < this.#needed;
  }

  get #needed() {
    return this.#steady.span * STEADY_SHARE;
  }

  #fit() {
    this.span = this.gain === 0 || this.#steady.span === 0 ? 0 : this.#heightMm / this.gain;
    this.center = this.#steady.center;
  }
}

export function stepAbove(value) {
  const decade = 10 ** Math.floor(Math.log10(value));
  const step = STEPS.find((candidate) => candidate * decade >= value * 0.999999);
  return step === undefined ? decade * 10 : step * decade;
}

export function stepBelow(value) {
  const decade = 10 ** Math.floor(Math.log10(value));
  return [5, 2, 1].find((candidate) => candidate * decade <= value * 1.000001) * decade;
}
