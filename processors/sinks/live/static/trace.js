// One waveform: what is known of its last minutes, and the canvas on which that is swept.
//
// A sample's place on the screen is its event time modulo the sweep, so that what happened together
// stands together in all traces of a speed. Only new samples are drawn; the bar ahead wipes the old
// ones. What is told later – a beat, a gap, a quality – has its stretch of the picture drawn again.

import { Axis } from "./axis.js";
import { BeatMarks, MARK_PX } from "./beats.js";
import { drawCaliper } from "./caliper.js";
import { drawLabels } from "./labels.js";
import { GapList } from "./gaps.js";
import { gridSheet } from "./grid.js";
import { Line } from "./line.js";
import { periodMs } from "./protocol.js";
import { QualityTrack } from "./quality.js";
import { PaperScale, SteadyScale } from "./scale.js";
import { SampleStore } from "./store.js";
import { TIMELINE_PX, drawTimeline } from "./timeline.js";
import { TraceLabels } from "./trace-labels.js";
import { durationWords } from "./words.js";

const ERASE_PX = 34;
const ARRIVALS_MAX = 64;
const SILENT_S = 3;
const COLORS = {
  ecg: "#35e0a1", pleth: "#5ccbff", respiration: "#f2dd55", motion: "#a9b8c9", other: "#d8a3ee",
};
const FLOORS = { mV: 1.5, "[g]": 0.2, "deg/s": 10, Ohm: 0.2 };
const LINE_PX = 1.75;

export class Trace {
  #paper;
  #labels;
  #store;
  #gaps = new GapList();
  #quality = new QualityTrack();
  #beats = new BeatMarks();
  #factor = 1;
  #view; // what drawing needs: {pen, width, height, foot, ratio, y, unit, decimals}; foot: where times stand
  #axis = new Axis({ spanMs: 8000, width: 1, wraps: true });
  #sheet = null;
  #shown = { center: 0, span: 0 }; // the scale as it is drawn
  #line = new Line(); // of the sweep
  #over = new Line(); // of what is drawn again
  #next = 0; // number of the sample that is drawn next
  #arrivals = []; // {number, receivedMs} of blocks that are not on the screen yet
  #newestMs = 0; // drawn; a sample that is drawn again does not count again
  #positionMs = null;
  #wipedMs = 0;
  #strip = null; // of a frozen picture: {rightMs, marks, hasTimes, labels}
  #isStripOld = false;
  #nRedraws = 0;
  isShown = false;
  heardMs = 0; // page's clock
  nSamples = 0;
  nDrawn = 0;
  nGaps = 0;

  constructor(channel, paper) {
    this.#paper = paper;
    this.#labels = new TraceLabels();
    this.node = this.#labels.node;
    const pen = this.#labels.canvas.getContext("2d", { alpha: false });
    this.#view = { pen, width: 1, height: 1, foot: 0, ratio: 1, y: (value) => this.#y(value), unit: null };
    this.describe(channel);
  }

  // The channel's metadata, at first and when they change. What was drawn in other units goes.
  describe(channel) {
    this.channel = channel;
    this.periodMs = periodMs(channel);
    // Microvolts and volts are shown as millivolts: one calibration pulse for every ECG.
    const millivolts = { uV: 1e-3, V: 1e3 }[channel.unit];
    this.#factor = channel.kind === "ecg" && millivolts ? millivolts : 1;
    this.unit = this.#factor === 1 ? channel.unit : "mV";
    this.isOnPaper = channel.kind === "ecg" && this.unit === "mV";
    // The height of a pleth says nothing: its maker scales it as it likes.
    this.#view.unit = channel.kind === "pleth" ? null : this.unit;
    const floor = FLOORS[this.unit] ?? Math.abs(channel.scale) * this.#factor * 8;
    this.scale = this.isOnPaper ? new PaperScale() : new SteadyScale(floor);
    this.#store = new SampleStore(this.periodMs);
    this.#gaps = new GapList();
    this.#next = 0;
    this.#arrivals = [];
    this.#labels.describe(channel);
    this.#setPaper();
    this.redraw();
  }

  add(samples, nowMs) {
    if (samples.history) this.#store.cutFrom(samples.t0Ms);
    else if (samples.receivedMs !== null) this.#noteArrival(samples.receivedMs);
    this.#next = Math.min(this.#next, this.#store.end);
    const { low, high, missing } = this.#store.add(samples, this.channel.scale * this.#factor, this.channel.offset * this.#factor);
    if (missing !== null) this.addGap(...missing, "not_received");
    this.nSamples += samples.counts.length;
    this.heardMs = nowMs;
    return low <= high && this.scale.observe(Math.floor(samples.t0Ms / 1000), low, high);
  }

  #noteArrival(receivedMs) {
    this.#arrivals.push({ number: this.#store.end, receivedMs });
    if (this.#arrivals.length > ARRIVALS_MAX) this.#arrivals.shift();
  }

  addGap(fromMs, toMs, cause) {
    const gap = this.#gaps.add(fromMs, toMs, cause);
    if (gap === null) return;
    if (gap.isNew) this.nGaps += 1;
    this.#paintAgain(gap.fromMs, gap.toMs);
  }

  // The quality of the second that ends at tMs.
  setQuality(quality, tMs) {
    this.#labels.setQuality(quality);
    if (this.#quality.add(tMs, quality)) this.#paintAgain(tMs - 1000, tMs);
  }

  addBeat(tMs, quality) {
    this.#beats.add(tMs, quality);
    this.#paintAround(tMs);
  }

  classifyBeat(tMs, code) {
    if (this.#beats.classify(tMs, code)) this.#paintAround(tMs);
  }

  get beatCounts() {
    return this.#beats.counts;
  }

  // What drawing has cost: points of the line, and how often the whole picture was drawn again.
  get strokes() {
    return { points: this.#line.nDrawn, redraws: this.#nRedraws };
  }

  get oldestMs() {
    return this.#store.oldestMs;
  }

  get forgottenMs() {
    return this.#store.forgottenMs;
  }

  get spanMs() {
    return this.#axis.spanMs;
  }

  // Take the size of the canvas and of the paper as they are now.
  layout() {
    const { canvas } = this.#labels;
    const ratio = window.devicePixelRatio || 1;
    this.isShown = canvas.clientWidth > 0;
    if (!this.isShown) return; // folded away: it stays as it was
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    const spanMs = this.#paper.spanMs(this.channel.kind, width / ratio);
    const isSame = width === this.#view.width && height === this.#view.height && ratio === this.#view.ratio;
    if (!isSame) Object.assign(canvas, { width, height });
    Object.assign(this.#view, { width, height, ratio });
    this.#axis = new Axis({ spanMs, width, wraps: true });
    this.#setPaper();
    this.#takeScale();
    this.redraw();
  }

  #setPaper() {
    const { width, height, ratio } = this.#view;
    const pxPerMm = this.#paper.pxPerMm * ratio;
    if (this.isOnPaper) this.scale.setHeight(height / pxPerMm);
    this.#sheet = gridSheet({ width, height, pxPerMm, isFine: this.isOnPaper });
  }

  // Take the gain of all ECG traces.
  setGain(gain) {
    if (!this.scale.setGain(gain)) return;
    this.#takeScale();
    this.redraw();
  }

  // Draw what became due since the last call. onShown gets the arrival time of each new block.
  advance(positionMs, onShown) {
    const fromMs = this.#positionMs ?? positionMs;
    this.#positionMs = positionMs;
    if (this.#strip !== null) {
      if (this.#isStripOld) this.#paintStrip();
      return;
    }
    const wipedMs = positionMs + this.#eraseMs();
    this.#axis.stretch(this.#wipedMs, wipedMs, (x0, x1) => this.#clear(x0, x1));
    this.#wipedMs = Math.max(this.#wipedMs, wipedMs);
    this.#underlay(this.#axis, fromMs, positionMs);
    this.#drawNew(positionMs, onShown);
    this.#beats.draw(this.#view, this.#axis, fromMs, positionMs);
  }

  // All of it again: another size, another scale, or the sweep stands elsewhere.
  redraw(positionMs = this.#positionMs) {
    this.#positionMs = positionMs;
    if (this.#strip !== null) {
      this.#isStripOld = true;
      return;
    }
    this.#takeScale();
    this.#clear(0, this.#view.width);
    if (positionMs === null) return;
    this.#nRedraws += 1;
    this.#wipedMs = positionMs + this.#eraseMs();
    const oldestMs = this.#oldestShownMs();
    this.#underlay(this.#axis, oldestMs, positionMs);
    this.#line.lift();
    this.#next = 0;
    this.#drawNew(positionMs, null);
    this.#beats.draw(this.#view, this.#axis, oldestMs, positionMs);
  }

  // What is drawn stays as it was begun, whatever the scale does meanwhile.
  #takeScale() {
    this.#shown = { center: this.scale.center, span: this.scale.span };
    // No more digits than can be pointed at.
    this.#view.decimals = this.scale.span > 0 ? Math.max(0, Math.ceil(-Math.log10(this.scale.span / 500))) : 0;
    this.#labels.showScale(this, this.#paper, this.#view.height / this.#view.ratio);
  }

  // Four times a second: say in words that nothing comes.
  judge(nowMs) {
    const silentS = (nowMs - this.heardMs) / 1000;
    const isSilent = this.heardMs > 0 && silentS >= SILENT_S;
    this.#labels.setNote(isSilent ? `no data for ${durationWords(silentS)}` : null);
  }

  // Show a picture that stands: its right edge, the two marks of the caliper or null, and whether the
  // time of day stands below it. The sweep goes on behind it, unseen, when the strip is null again.
  showStrip(strip) {
    const wasFrozen = this.#strip !== null;
    this.#strip = strip;
    this.#isStripOld = strip !== null;
    if (strip !== null || !wasFrozen) return;
    this.#view.foot = 0;
    this.redraw();
  }

  // The instant below a point of the page; of a frozen picture.
  timeAt(clientX) {
    const box = this.#labels.canvas.getBoundingClientRect();
    return this.#strip.rightMs - ((box.right - clientX) / box.width) * this.#axis.spanMs;
  }

  holds(clientY) {
    const box = this.#labels.canvas.getBoundingClientRect();
    return clientY >= box.top && clientY < box.bottom;
  }

  #y(value) {
    const { height } = this.#view;
    return height / 2 - ((value - this.#shown.center) * height) / this.#shown.span;
  }

  #clear(x0, x1) {
    const left = Math.max(0, Math.floor(x0));
    const wide = Math.min(this.#view.width, Math.ceil(x1)) - left;
    const { pen, height } = this.#view;
    if (wide > 0) pen.drawImage(this.#sheet, left, 0, wide, height, left, 0, wide, height);
  }

  // Nothing older than this may be drawn: the bar has passed there.
  #oldestShownMs() {
    return this.#wipedMs - this.#axis.spanMs;
  }

  #drawNew(positionMs, onShown) {
    const { runs } = this.#store;
    if (this.#shown.span === 0 || this.#next >= this.#store.end) return;
    const oldestMs = this.#oldestShownMs();
    this.#begin();
    for (let i = this.#store.indexFrom(this.#next); i < runs.length; i += 1) {
      const run = runs[i];
      const begin = Math.max(0, this.#next - run.first);
      const due = Math.min(run.n - 1, Math.floor((positionMs - run.t0Ms) / this.periodMs));
      if (due < begin) break;
      if (begin === 0 && !run.isJoined) this.#line.lift();
      const j0 = Math.max(begin, Math.ceil((oldestMs - run.t0Ms) / this.periodMs));
      if (j0 > begin) this.#line.lift();
      if (j0 <= due) this.#line.follow(this.#view, this.#axis, { store: this.#store, run, j0, j1: due, y: this.#view.y });
      this.#countDrawn(run, j0, due);
      this.#next = run.first + due + 1;
      if (due < run.n - 1) break;
    }
    this.#view.pen.stroke();
    while (this.#arrivals.length > 0 && this.#arrivals[0].number < this.#next) {
      const { receivedMs } = this.#arrivals.shift();
      onShown?.(receivedMs);
    }
  }

  #countDrawn(run, j0, j1) {
    const first = Math.max(j0, Math.floor((this.#newestMs - run.t0Ms) / this.periodMs + 1e-6) + 1);
    if (first > j1) return;
    this.nDrawn += j1 - first + 1;
    this.#newestMs = run.t0Ms + j1 * this.periodMs;
  }

  #begin() {
    const { pen, ratio } = this.#view;
    pen.strokeStyle = COLORS[this.channel.kind] ?? COLORS.other;
    pen.lineWidth = LINE_PX * ratio;
    pen.lineJoin = pen.lineCap = "round"; // or the ends of what each frame draws would show
    pen.beginPath();
  }

  // A stretch of the sweep again, if it is on the screen; of a frozen picture the whole, at the next frame.
  #paintAgain(fromMs, toMs) {
    if (this.#strip !== null) this.#isStripOld = true;
    else if (this.#positionMs !== null) this.#paint(this.#axis, Math.max(fromMs, this.#oldestShownMs()), Math.min(toMs, this.#positionMs));
  }

  #paintAround(tMs) {
    const marginMs = this.#marginMs(this.#axis);
    this.#paintAgain(tMs - marginMs, tMs + marginMs);
  }

  #eraseMs() {
    return (ERASE_PX * this.#view.ratio) / this.#axis.perMs;
  }

  #marginMs(axis) {
    return (MARK_PX * this.#view.ratio) / axis.perMs;
  }

  #paint(axis, fromMs, toMs) {
    const { pen, height } = this.#view;
    const marginMs = this.#marginMs(axis);
    axis.stretch(fromMs, toMs, (x0, x1, t0, t1) => {
      pen.save();
      pen.beginPath();
      pen.rect(Math.floor(x0), 0, Math.ceil(x1) - Math.floor(x0), height);
      pen.clip();
      this.#clear(x0, x1);
      this.#underlay(axis, t0, t1);
      this.#drawOver(axis, t0 - marginMs, Math.min(t1 + marginMs, toMs));
      this.#beats.draw(this.#view, axis, t0 - marginMs, t1 + marginMs);
      pen.restore();
    });
  }

  #underlay(axis, fromMs, toMs) {
    const hasQuality = this.#quality.touches(fromMs, toMs);
    const hasGaps = this.#gaps.touches(fromMs, toMs);
    if (!hasQuality && !hasGaps) return;
    const { pen, height } = this.#view;
    axis.stretch(fromMs, toMs, (x0, x1, t0, t1) => {
      pen.save();
      pen.beginPath();
      pen.rect(x0, 0, x1 - x0, height);
      pen.clip();
      if (hasQuality) this.#quality.draw(this.#view, axis, t0, t1);
      if (hasGaps) this.#gaps.draw(this.#view, axis, t0, t1);
      pen.restore();
    });
  }

  #drawOver(axis, fromMs, toMs) {
    if (this.#shown.span === 0) return;
    this.#begin();
    this.#over.lift();
    this.#store.visit(fromMs, toMs, (run, j0, j1) => {
      if (!run.isJoined || j0 > 0) this.#over.lift();
      const last = Math.min(j1, Math.floor((toMs - run.t0Ms) / this.periodMs));
      this.#over.follow(this.#view, axis, { store: this.#store, run, j0, j1: last, y: this.#view.y });
    });
    this.#view.pen.stroke();
  }

  #paintStrip() {
    const { rightMs, marks, hasTimes, labels } = this.#strip;
    const { spanMs } = this.#axis;
    const axis = new Axis({ spanMs, width: this.#view.width, leftMs: rightMs - spanMs });
    this.#view.foot = hasTimes ? TIMELINE_PX * this.#view.ratio : 0;
    this.#clear(0, this.#view.width);
    this.#paint(axis, axis.leftMs, rightMs);
    drawLabels(this.#view, axis, labels);
    drawTimeline(this.#view, axis);
    if (marks !== null) drawCaliper(this.#view, axis, marks, marks.map((tMs) => this.#store.at(tMs)));
    this.#isStripOld = false;
  }
}
