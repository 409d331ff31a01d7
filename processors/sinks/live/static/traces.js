// All waveforms of the subject: their order, their common sweep, and the picture when it is frozen.

import { openAnnotate } from "./annotate.js";
import { Freeze } from "./freeze.js";
import { LabelBook } from "./labels.js";
import { Paper } from "./paper.js";
import { Percentiles } from "./stats.js";
import { SweepBar } from "./sweep-bar.js";
import { Trace } from "./trace.js";

const ORDER = ["ecg", "pleth", "respiration", "other", "motion"];
const MANY = 8; // more traces than this are drawn lower, so that they fit

export class TraceBoard {
  #root;
  #empty;
  #note;
  #traces = new Map(); // by device and channel
  #byId = new Map();
  #paper = new Paper();
  #freeze;
  #bar;
  #labels = new LabelBook();
  subject = null;
  positionMs = null; // event time of the sweep
  onChange = () => {}; // another number of traces
  work = new Percentiles(); // ms that a frame's drawing took

  constructor(root, empty, note) {
    this.#root = root;
    this.#empty = empty;
    this.#note = note;
    this.#freeze = new Freeze(this, root);
    this.#bar = new SweepBar(this.#paper, this.#freeze);
    root.prepend(this.#bar.overlay);
    root.append(this.#bar.node);
    this.#bar.node.hidden = true;
    this.#paper.onChange(() => this.resize());
    new ResizeObserver(() => this.resize()).observe(root);
  }

  clear() {
    this.#freeze.release();
    for (const trace of this.#traces.values()) trace.node.remove();
    this.#traces.clear();
    this.#byId.clear();
    this.#labels.clear();
    this.positionMs = null;
    this.#empty.hidden = false;
    this.#bar.node.hidden = true;
    this.onChange();
  }

  // Ids belong to a connection: after a new one they are told again.
  forgetIds() {
    this.#byId.clear();
  }

  addChannel(channel) {
    const key = `${channel.device}/${channel.channel}`;
    let trace = this.#traces.get(key);
    if (trace === undefined) {
      trace = new Trace(channel, this.#paper);
      this.#traces.set(key, trace);
      this.#place(trace);
      this.#empty.hidden = true;
      this.#bar.node.hidden = false;
      this.#root.classList.toggle("has-many", this.#traces.size > MANY);
      this.onChange();
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
    if (trace.add(samples, nowMs)) {
      this.#chooseGain();
      trace.redraw();
    }
    return trace;
  }

  // One gain for every ECG, or leads could not be compared: the one that was chosen, or the largest at
  // which all of them stay in their pictures.
  #chooseGain() {
    const onPaper = [...this.#traces.values()].filter((trace) => trace.isOnPaper && trace.isShown);
    const fitting = onPaper.map((trace) => trace.scale.fitting).filter((gain) => gain !== null);
    if (fitting.length === 0) return;
    const gain = this.#paper.gain === "auto" ? Math.min(...fitting) : this.#paper.gain;
    for (const trace of onPaper) trace.setGain(gain);
  }

  addGap(gap) {
    this.#traces.get(`${gap.device}/${gap.channel}`)?.addGap(gap.t0_ms, gap.t1_ms, gap.cause);
  }

  setQuality({ channels, value, t_ms }) {
    for (const key of channels) this.#traces.get(key)?.setQuality(value ?? 0, t_ms);
  }

  addBeat(beat) {
    for (const key of beat.channels) this.#traces.get(key)?.addBeat(beat.t_ms, beat.quality);
  }

  classifyBeat(beat) {
    for (const key of beat.channels) this.#traces.get(key)?.classifyBeat(beat.t_ms, beat.beat_class);
  }

  draw(positionMs, jumped, onShown) {
    const begunMs = performance.now();
    this.positionMs = positionMs;
    for (const trace of this.#traces.values()) {
      if (jumped) trace.redraw(positionMs);
      else trace.advance(positionMs, onShown);
    }
    this.work.add(performance.now() - begunMs);
  }

  redraw() {
    for (const trace of this.#traces.values()) trace.redraw();
  }

  judge(nowMs) {
    for (const trace of this.#traces.values()) trace.judge(nowMs);
    this.#freeze.judge();
  }

  resize() {
    for (const trace of this.#traces.values()) trace.layout();
    this.#chooseGain();
    if (this.#freeze.isFrozen) this.#freeze.scrollBy(0);
    const { speed, isMeasured } = this.#paper;
    this.#note.textContent = this.#traces.size === 0 ? ""
      : `${speed} mm/s, ${Number((this.spanMs / 1000).toPrecision(2))} s across${isMeasured ? "" : ", screen not measured"}`;
  }

  // Of a frozen picture, see freeze.js; null: the sweep goes on.
  showStrip(strip) {
    const lowest = new Map(); // of each speed the lowest trace has the time of day
    for (const node of this.#root.querySelectorAll(".trace")) lowest.set(node.dataset.kind === "respiration", node);
    for (const trace of this.#traces.values()) {
      const hasTimes = [...lowest.values()].includes(trace.node);
      trace.showStrip(strip === null ? null : { ...strip, hasTimes, labels: this.#labels.of(trace.channel) });
    }
  }

  addLabel(label) {
    this.#labels.add(label);
    if (this.#freeze.isFrozen) this.#freeze.scrollBy(0);
  }

  annotate(marks) {
    const channels = [...this.#traces.values()].filter(({ isShown }) => isShown).map(({ channel }) => channel);
    openAnnotate({ subject: this.subject, marks, channels });
  }

  // Time that the widest picture shows; it is what scrolling goes by.
  get spanMs() {
    const wide = [...this.#traces.values()].filter(({ channel, isShown }) => isShown && channel.kind !== "respiration");
    return Math.max(1000, ...wide.map((trace) => trace.spanMs));
  }

  get oldestMs() {
    const oldest = [...this.#traces.values()].map((trace) => trace.oldestMs).filter((tMs) => tMs !== null);
    return oldest.length === 0 ? null : Math.min(...oldest);
  }

  // Up to here something was forgotten; null: nothing yet.
  get forgottenMs() {
    const forgotten = [...this.#traces.values()].map((trace) => trace.forgottenMs).filter((tMs) => tMs !== null);
    return forgotten.length === 0 ? null : Math.max(...forgotten);
  }

  traceAt({ target, clientY }) {
    if (!(target instanceof HTMLCanvasElement)) return null;
    return [...this.#traces.values()].find((trace) => trace.holds(clientY)) ?? null;
  }

  get state() {
    const { speed, breathSpeed, gain, pxPerMm, isMeasured } = this.#paper;
    return { speed, breathSpeed, gain, pxPerMm, isMeasured, spanMs: this.spanMs, frozen: this.#freeze.state, labels: this.#labels.all };
  }

  get isFrozen() {
    return this.#freeze.isFrozen;
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
    this.#root.insertBefore(trace.node, after.length > 0 ? after[0].node : this.#bar.node);
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
