// One waveform: its samples of the last seconds, and the canvas on which they are swept.
//
// A sample's place on the screen is its event time modulo the sweep, so that what happened together
// stands together in all traces. Only new samples are drawn; the bar ahead wipes the old ones.

import { periodMs } from "./protocol.js";
import { SteadyScale, stepBelow } from "./scale.js";
import { causeWords, durationWords, element, numberWords, setText, unitWords } from "./words.js";

const ERASE_MS = 350;
const JOIN_MS = 200; // a step of the clock smaller than this does not part the line
const BLOCKS_MAX = 4096;
const GAPS_MAX = 64;
const SILENT_S = 3;
const BACKGROUND = "#06090d";
const GRID = "#111a23";
const HATCH = "#4a5765";
const HATCH_TEXT = "#a9b6c3";
const COLORS = {
  ecg: "#35e0a1", pleth: "#5ccbff", respiration: "#f2dd55", motion: "#a9b8c9", other: "#d8a3ee",
};
const FLOORS = { mV: 1.5, "[g]": 0.2, "deg/s": 10, Ohm: 0.2 };

export class Trace {
  #blocks = [];
  #i = 0; // block that is being drawn
  #j = 0; // its next sample
  #gaps = [];
  #last = null; // last point drawn: {x, y, sweep}
  #wipedMs = 0;
  #newestMs = 0; // drawn; a sample that is drawn again does not count again
  #positionMs = null;
  #width = 0;
  #height = 0;
  #ratio = 1;
  #sweepMs = 8000;
  #factor = 1;
  #pen;
  #parts;
  heardMs = 0; // page's clock
  nSamples = 0;
  nDrawn = 0;
  nGaps = 0;

  constructor(channel) {
    this.#parts = build(channel);
    this.node = this.#parts.node;
    this.#pen = this.#parts.canvas.getContext("2d", { alpha: false });
    this.describe(channel);
  }

  // The channel's metadata, at first and when they change. What was drawn in other units goes.
  describe(channel) {
    this.channel = channel;
    this.periodMs = periodMs(channel);
    // Microvolts and volts are shown as millivolts: one calibration mark for every ECG.
    const millivolts = { uV: 1e-3, V: 1e3 }[channel.unit];
    this.#factor = channel.kind === "ecg" && millivolts ? millivolts : 1;
    this.unit = this.#factor === 1 ? channel.unit : "mV";
    this.scale = new SteadyScale(FLOORS[this.unit] ?? Math.abs(channel.scale) * this.#factor * 8);
    this.#blocks = [];
    this.#gaps = [];
    this.#last = null;
    this.#i = this.#j = 0;
    setText(this.#parts.label, channel.label);
    setText(this.#parts.device, channel.device);
    this.#parts.device.title = channel.device;
    this.node.dataset.kind = channel.kind;
    this.node.setAttribute("aria-label", `${channel.label} of ${channel.device}, moving waveform`);
    this.redraw();
  }

  add(samples, nowMs) {
    const { channel } = this;
    const values = new Float32Array(samples.counts.length);
    for (let k = 0; k < values.length; k += 1) {
      values[k] = (samples.counts[k] * channel.scale + channel.offset) * this.#factor;
    }
    const block = {
      iFirst: samples.iFirst, t0Ms: samples.t0Ms, receivedMs: samples.history ? null : samples.receivedMs,
      values, joined: false,
    };
    block.endMs = block.t0Ms + values.length * this.periodMs;
    if (samples.history) this.#dropFrom(block.t0Ms);
    this.#joinOrMark(block);
    this.#blocks.push(block);
    this.nSamples += values.length;
    this.heardMs = nowMs;
    this.#forget();
    return this.#measure(block);
  }

  addGap(fromMs, toMs, cause) {
    // A gap that was seen before it was explained is the same one.
    const known = this.#gaps.find((gap) => gap.fromMs < toMs && fromMs < gap.toMs);
    if (known !== undefined && known.cause !== "not_received") return;
    if (known === undefined) this.nGaps += 1;
    else this.#gaps.splice(this.#gaps.indexOf(known), 1);
    this.#gaps.push({ fromMs, toMs, cause, drawnMs: fromMs, isLabelled: false });
    if (this.#gaps.length > GAPS_MAX) this.#gaps.shift();
  }

  setQuality(quality) {
    this.#parts.quality.value = quality;
    this.#parts.quality.hidden = false;
    this.#parts.quality.title = `signal quality ${Math.round(quality * 100)} %`;
  }

  resize(sweepMs) {
    const { canvas } = this.#parts;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (width === this.#width && height === this.#height && sweepMs === this.#sweepMs) return;
    [this.#width, this.#height, this.#ratio, this.#sweepMs] = [width, height, ratio, sweepMs];
    canvas.width = width;
    canvas.height = height;
    this.redraw();
  }

  // Draw what became due since the last call. onShown gets the arrival time of each new block.
  advance(positionMs, onShown) {
    this.#positionMs = positionMs;
    this.#wipe(positionMs + ERASE_MS);
    this.#drawGaps(positionMs);
    this.#drawSamples(positionMs, onShown);
  }

  // All of it again: another size, another scale, or the sweep stands elsewhere.
  redraw(positionMs = this.#positionMs) {
    const pen = this.#pen;
    this.#positionMs = positionMs;
    pen.fillStyle = BACKGROUND;
    pen.fillRect(0, 0, this.#width, this.#height);
    this.#grid(0, this.#width);
    this.#drawScale();
    if (positionMs === null) return;
    this.#wipedMs = positionMs + ERASE_MS;
    this.#last = null;
    this.#i = this.#j = 0;
    for (const gap of this.#gaps) Object.assign(gap, { drawnMs: gap.fromMs, isLabelled: false });
    this.#drawGaps(positionMs);
    this.#drawSamples(positionMs, null);
  }

  // Four times a second: say in words that nothing comes.
  judge(nowMs) {
    const silentS = (nowMs - this.heardMs) / 1000;
    const isSilent = this.heardMs > 0 && silentS >= SILENT_S;
    this.node.classList.toggle("is-silent", isSilent);
    this.#parts.note.hidden = !isSilent;
    if (isSilent) setText(this.#parts.note, `no data for ${durationWords(silentS)}`);
  }

  // After a reconnection the server tells again what the page may have already.
  #dropFrom(t0Ms) {
    const n = this.#blocks.findIndex((block) => block.endMs > t0Ms);
    if (n < 0) return;
    this.#blocks.splice(n);
    if (this.#i > n) [this.#i, this.#j] = [n, 0];
  }

  #joinOrMark(block) {
    const before = this.#blocks.at(-1);
    if (before === undefined) return;
    const nMissing = block.iFirst - (before.iFirst + before.values.length);
    block.joined = nMissing === 0 && Math.abs(block.t0Ms - before.endMs) < JOIN_MS;
    if (nMissing > 0 && block.t0Ms > before.endMs) this.addGap(before.endMs, block.t0Ms, "not_received");
  }

  #forget() {
    const oldestMs = this.#blocks.at(-1).endMs - this.#sweepMs - 4000;
    let n = 0;
    while (n < this.#blocks.length - 1 && (this.#blocks[n].endMs < oldestMs || this.#blocks.length - n > BLOCKS_MAX)) n += 1;
    if (n === 0) return;
    this.#blocks.splice(0, n);
    this.#j = this.#i < n ? 0 : this.#j;
    this.#i = Math.max(0, this.#i - n);
    this.#gaps = this.#gaps.filter((gap) => gap.toMs > oldestMs);
  }

  #measure(block) {
    let low = Infinity;
    let high = -Infinity;
    for (const value of block.values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return low <= high && this.scale.observe(Math.floor(block.t0Ms / 1000), low, high);
  }

  #x(tMs) {
    return ((tMs % this.#sweepMs) / this.#sweepMs) * this.#width;
  }

  // Nothing older than this may be drawn: the bar has passed there.
  #oldestMs(positionMs) {
    return positionMs + ERASE_MS - this.#sweepMs;
  }

  // Calls draw(x0, x1) for a stretch of time, twice where it goes round the edge.
  #stretch(fromMs, toMs, draw) {
    if (toMs <= fromMs) return;
    const from = Math.max(fromMs, toMs - this.#sweepMs);
    const x0 = this.#x(from);
    const x1 = x0 + ((toMs - from) / this.#sweepMs) * this.#width;
    draw(x0, Math.min(x1, this.#width));
    if (x1 > this.#width) draw(0, x1 - this.#width);
  }

  #wipe(toMs) {
    this.#stretch(this.#wipedMs, toMs, (x0, x1) => {
      const left = Math.floor(x0);
      const right = Math.ceil(x1);
      this.#pen.fillStyle = BACKGROUND;
      this.#pen.fillRect(left, 0, right - left, this.#height);
      this.#grid(left, right);
    });
    this.#wipedMs = Math.max(this.#wipedMs, toMs);
  }

  #grid(left, right) {
    const nSeconds = this.#sweepMs / 1000;
    this.#pen.fillStyle = GRID;
    for (let second = 0; second < nSeconds; second += 1) {
      const x = Math.round((second / nSeconds) * this.#width);
      if (x >= left && x < right) this.#pen.fillRect(x, 0, Math.max(1, Math.round(this.#ratio)), this.#height);
    }
  }

  #drawGaps(positionMs) {
    const oldestMs = this.#oldestMs(positionMs);
    for (const gap of this.#gaps) {
      const from = Math.max(gap.drawnMs, oldestMs);
      const to = Math.min(gap.toMs, positionMs);
      if (to <= from) continue;
      this.#stretch(from, to, (x0, x1) => this.#hatch(x0, x1));
      gap.drawnMs = to;
      if (to === gap.toMs || to - Math.max(gap.fromMs, oldestMs) > 1500) this.#labelGap(gap, oldestMs, to);
    }
  }

  #hatch(x0, x1) {
    const pen = this.#pen;
    const step = 9 * this.#ratio;
    const top = this.#height * 0.2;
    const bottom = this.#height * 0.8;
    pen.save();
    pen.beginPath();
    pen.rect(x0, top, x1 - x0, bottom - top);
    pen.clip();
    pen.strokeStyle = HATCH;
    pen.lineWidth = this.#ratio;
    pen.beginPath();
    const rise = bottom - top;
    for (let x = Math.floor((x0 - rise) / step) * step; x < x1; x += step) {
      pen.moveTo(x, bottom);
      pen.lineTo(x + rise, top);
    }
    pen.stroke();
    pen.restore();
  }

  #labelGap(gap, oldestMs, toMs) {
    if (gap.isLabelled) return;
    const pen = this.#pen;
    const text = causeWords(gap.cause);
    pen.font = `${11 * this.#ratio}px system-ui, sans-serif`;
    const x0 = this.#x(Math.max(gap.fromMs, oldestMs));
    const room = ((toMs - Math.max(gap.fromMs, oldestMs)) / this.#sweepMs) * this.#width;
    const wide = pen.measureText(text).width + 10 * this.#ratio;
    gap.isLabelled = true;
    if (x0 + Math.max(room, wide) > this.#width) return; // goes round the edge
    const x = x0 + Math.max(0, (room - wide) / 2);
    const isWithin = room >= wide;
    const y = isWithin ? this.#height / 2 : this.#height * 0.9;
    if (isWithin) {
      pen.fillStyle = BACKGROUND;
      pen.fillRect(x, y - 10 * this.#ratio, wide, 20 * this.#ratio);
    }
    pen.fillStyle = HATCH_TEXT;
    pen.textBaseline = "middle";
    pen.fillText(text, x + 5 * this.#ratio, y);
  }

  #drawSamples(positionMs, onShown) {
    const { center, span } = this.scale;
    if (span === 0 || this.#i >= this.#blocks.length) return;
    const pen = this.#pen;
    const oldestMs = this.#oldestMs(positionMs);
    const perUnit = this.#height / span;
    const middle = this.#height / 2;
    const perMs = this.#width / this.#sweepMs;
    pen.strokeStyle = COLORS[this.channel.kind] ?? COLORS.other;
    pen.lineWidth = 1.75 * this.#ratio;
    pen.lineJoin = "round";
    pen.beginPath();
    if (this.#last !== null) pen.moveTo(this.#last.x, this.#last.y);
    while (this.#i < this.#blocks.length) {
      const block = this.#blocks[this.#i];
      if (this.#j === 0) {
        if (block.t0Ms > positionMs) break;
        if (!block.joined) this.#last = null;
        if (onShown !== null && block.receivedMs !== null) onShown(block.receivedMs);
      }
      this.#j = this.#drawBlock(block, { positionMs, oldestMs, perUnit, middle, perMs, center });
      if (this.#j < block.values.length) break;
      this.#i += 1;
      this.#j = 0;
    }
    pen.stroke();
  }

  #drawBlock(block, { positionMs, oldestMs, perUnit, middle, perMs, center }) {
    const pen = this.#pen;
    let j = this.#j;
    for (; j < block.values.length; j += 1) {
      const tMs = block.t0Ms + j * this.periodMs;
      if (tMs > positionMs) break;
      if (tMs < oldestMs) {
        this.#last = null;
        continue;
      }
      const sweep = Math.floor(tMs / this.#sweepMs);
      const x = (tMs - sweep * this.#sweepMs) * perMs;
      const y = middle - (block.values[j] - center) * perUnit;
      if (this.#last === null) pen.moveTo(x, y);
      else if (sweep !== this.#last.sweep) {
        pen.lineTo(x + this.#width, y); // out on the right, and in again on the left
        pen.moveTo(this.#last.x - this.#width, this.#last.y);
      }
      pen.lineTo(x, y);
      this.#last = { x, y, sweep };
      if (tMs > this.#newestMs) {
        this.#newestMs = tMs;
        this.nDrawn += 1;
      }
    }
    return j;
  }

  // The mark beside the trace: so high is one millivolt.
  #drawScale() {
    const { span } = this.scale;
    const { bar, mark } = this.#parts;
    bar.hidden = mark.hidden = span === 0;
    if (span === 0) return;
    const cssHeight = this.#height / this.#ratio;
    const isMillivolt = this.unit === "mV" && span <= 10;
    const value = isMillivolt && span >= 1.2 ? 1 : stepBelow(span * 0.5);
    bar.style.height = `${(value / span) * cssHeight}px`;
    setText(mark, `${numberWords(value)} ${unitWords(this.unit)}`);
  }
}

function build(channel) {
  const node = element("article", "trace");
  node.setAttribute("role", "img");
  const head = element("div", "trace-head");
  const label = element("span", "trace-label", channel.label);
  const device = element("span", "trace-device");
  const quality = element("meter", "trace-quality");
  Object.assign(quality, { min: 0, max: 1, low: 0.3, high: 0.7, optimum: 1, hidden: true });
  quality.setAttribute("aria-label", "signal quality");
  head.append(label, device, quality);
  const side = element("div", "trace-scale");
  const mark = element("span", "trace-mark");
  const bar = element("span", "trace-bar");
  side.append(mark, bar);
  const canvas = element("canvas");
  const note = element("p", "trace-note");
  note.hidden = true;
  node.append(head, side, canvas, note);
  return { node, label, device, quality, canvas, mark, bar, note };
}
