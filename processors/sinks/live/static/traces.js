// All waveforms of the subject: their order, their common sweep.

import { Trace } from "./trace.js";

const ORDER = ["ecg", "pleth", "respiration", "other", "motion"];
const PIXELS_PER_S = 115; // near to 25 mm/s on a desk screen
const SWEEP_S_MIN = 4;
const SWEEP_S_MAX = 10;

export class TraceBoard {
  #root;
  #empty;
  #note;
  #traces = new Map(); // by device and channel
  #byId = new Map();
  #sweepMs = 8000;

  constructor(root, empty, note) {
    this.#root = root;
    this.#empty = empty;
    this.#note = note;
    new ResizeObserver(() => this.resize()).observe(root);
  }

  clear() {
    for (const trace of this.#traces.values()) trace.node.remove();
    this.#traces.clear();
    this.#byId.clear();
    this.#empty.hidden = false;
  }

  // Ids belong to a connection: after a new one they are told again.
  forgetIds() {
    this.#byId.clear();
  }

  addChannel(channel) {
    const key = `${channel.device}/${channel.channel}`;
    let trace = this.#traces.get(key);
    if (trace === undefined) {
      trace = new Trace(channel);
      this.#traces.set(key, trace);
      this.#place(trace);
      this.#empty.hidden = true;
    } else if (!isSame(trace.channel, channel)) {
      trace.describe(channel);
    }
    for (const [id, other] of this.#byId) if (other === trace) this.#byId.delete(id);
    this.#byId.set(channel.id, trace);
    this.resize();
  }

  // Returns the trace, or null for samples of a channel that is not known (any more).
  addSamples(samples, nowMs) {
    const trace = this.#byId.get(samples.channelId);
    if (trace === undefined || samples.counts.length === 0) return null;
    if (trace.add(samples, nowMs)) trace.redraw();
    return trace;
  }

  addGap(gap) {
    this.#traces.get(`${gap.device}/${gap.channel}`)?.addGap(gap.t0_ms, gap.t1_ms, gap.cause);
  }

  setQuality(channels, quality) {
    for (const key of channels) this.#traces.get(key)?.setQuality(quality);
  }

  draw(positionMs, jumped, onShown) {
    for (const trace of this.#traces.values()) {
      if (jumped) trace.redraw(positionMs);
      else trace.advance(positionMs, onShown);
    }
  }

  redraw() {
    for (const trace of this.#traces.values()) trace.redraw();
  }

  judge(nowMs) {
    for (const trace of this.#traces.values()) trace.judge(nowMs);
  }

  resize() {
    const canvas = this.#root.querySelector("canvas");
    if (canvas === null) return;
    const seconds = Math.round(canvas.clientWidth / PIXELS_PER_S);
    this.#sweepMs = Math.max(SWEEP_S_MIN, Math.min(SWEEP_S_MAX, seconds)) * 1000;
    this.#note.textContent = `${this.#sweepMs / 1000} s across`;
    for (const trace of this.#traces.values()) trace.resize(this.#sweepMs);
  }

  // Calls read(key, trace) for each, in no order.
  forEach(read) {
    for (const [key, trace] of this.#traces) read(key, trace);
  }

  // When each device's last samples came.
  get heardMs() {
    const heard = new Map();
    for (const { channel, heardMs } of this.#traces.values()) {
      if (heardMs > (heard.get(channel.device) ?? 0)) heard.set(channel.device, heardMs);
    }
    return heard;
  }

  get size() {
    return this.#traces.size;
  }

  #place(trace) {
    const after = [...this.#traces.values()]
      .filter((other) => other !== trace && compare(trace.channel, other.channel) < 0)
      .sort((a, b) => compare(a.channel, b.channel));
    this.#root.insertBefore(trace.node, after.length > 0 ? after[0].node : null);
  }
}

function compare(a, b) {
  const rank = (channel) => (ORDER.includes(channel.kind) ? ORDER.indexOf(channel.kind) : ORDER.length);
  return rank(a) - rank(b) || a.device.localeCompare(b.device) || a.channel.localeCompare(b.channel);
}

function isSame(a, b) {
  return ["label", "kind", "unit", "scale", "offset"].every((name) => a[name] === b[name])
    && a.period_ns.every((value, i) => value === b.period_ns[i]);
}
