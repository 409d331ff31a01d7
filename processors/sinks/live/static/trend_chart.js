// One chart of a trend: means as a line, least to greatest as a band, what is missing as a gap.

import { limitEdges } from "./limits.js";
import { STALE_S } from "./staleness.js";
import { element, setText } from "./words.js";

const LEFT_PX = 34;
const BOTTOM_PX = 18;
const TOP_PX = 6;
const RIGHT_PX = 8;
const GRID = "#17212b";
const TEXT = "#9fb0bf";
const LIMIT = "#7a6a3c";
const HATCH = "#26323d";
const STEPS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200];
const N_TICKS_MAX = 4;

export class TrendChart {
  #quantity;
  #canvas = element("canvas");
  #pen;
  #range = element("span", "trend-range");
  stats = { n: 0, gaps: 0, low: null, high: null };

  constructor(quantity) {
    this.#quantity = quantity;
    this.node = element("figure", "trend");
    this.node.dataset.tone = quantity.tone;
    const head = element("figcaption", "trend-head");
    const label = element("span", "trend-label", quantity.short);
    label.title = quantity.label;
    head.append(label, element("span", "trend-unit", quantity.unit), this.#range);
    this.#canvas.setAttribute("role", "img");
    this.node.append(head, this.#canvas);
    this.#pen = this.#canvas.getContext("2d");
  }

  // points: [{tMs, mean, low, high}] in order of time; each stands for stepMs from tMs on.
  draw(points, { fromMs, toMs, stepMs, tickMs, words, limits }) {
    const box = this.#fit();
    if (box === null) return;
    const joinMs = stepMs + STALE_S[this.#quantity.name] * 1000;
    const runs = runsOf(points, joinMs);
    const { low, high, step } = rangeOf(points, this.#quantity);
    const x = (tMs) => box.left + ((tMs - fromMs) / (toMs - fromMs)) * box.width;
    const y = (value) => box.top + (1 - (value - low) / (high - low)) * box.height;
    this.#pen.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#drawGaps(runs, stepMs, x, box);
    this.#drawGrid({ low, high, step, fromMs, toMs, tickMs, x, y, box });
    this.#drawLimits(limits, low, high, y, box);
    const color = getComputedStyle(this.node).getPropertyValue("--tone").trim() || "#edf3f8";
    for (const run of runs) this.#drawRun(run, stepMs, x, y, color);
    this.#describe(points, runs, words);
  }

  #fit() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.#canvas;
    if (clientWidth < 60 || clientHeight < 30) return null;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    this.#pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    return {
      left: LEFT_PX, top: TOP_PX,
      width: clientWidth - LEFT_PX - RIGHT_PX, height: clientHeight - TOP_PX - BOTTOM_PX,
    };
  }

  #drawGrid({ low, high, step, fromMs, toMs, tickMs, x, y, box }) {
    const pen = this.#pen;
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = TEXT;
    pen.strokeStyle = GRID;
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let value = low; value <= high + step / 2; value += step) {
      const at = Math.round(y(value)) + 0.5;
      line(pen, box.left, at, box.left + box.width, at);
      pen.fillText(String(Number(value.toFixed(1))), box.left - 6, at);
    }
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    for (let tMs = firstTick(fromMs, tickMs); tMs <= toMs; tMs += tickMs) {
      const at = Math.round(x(tMs)) + 0.5;
      line(pen, at, box.top, at, box.top + box.height);
      const text = clockWords(tMs);
      const half = pen.measureText(text).width / 2;
      if (at - half > box.left - 8 && at + half < box.left + box.width + RIGHT_PX) {
        pen.fillText(text, at, box.top + box.height + BOTTOM_PX - 4);
      }
    }
  }

  #drawLimits(limits, low, high, y, box) {
    const pen = this.#pen;
    pen.save();
    pen.strokeStyle = LIMIT;
    pen.setLineDash([2, 4]);
    for (const edge of limitEdges(limits, this.#quantity.name)) {
      if (edge <= low || edge >= high) continue;
      const at = Math.round(y(edge)) + 0.5;
      line(pen, box.left, at, box.left + box.width, at);
    }
    pen.restore();
  }

  // Between two runs: nothing was measured, or nothing that is believed.
  #drawGaps(runs, stepMs, x, box) {
    const pen = this.#pen;
    pen.strokeStyle = HATCH;
    pen.lineWidth = 1;
    runs.slice(1).forEach((run, i) => {
      const x0 = x(runs[i].at(-1).tMs + stepMs);
      const x1 = x(run[0].tMs);
      pen.save();
      pen.beginPath();
      pen.rect(x0, box.top, x1 - x0, box.height);
      pen.clip();
      for (let at = Math.floor((x0 - box.height) / 7) * 7; at < x1; at += 7) line(pen, at, box.top + box.height, at + box.height, box.top);
      pen.restore();
    });
  }

  #drawRun(run, stepMs, x, y, color) {
    const pen = this.#pen;
    const center = (point) => x(point.tMs + stepMs / 2);
    pen.fillStyle = color;
    pen.strokeStyle = color;
    if (run.length === 1) {
      const [point] = run;
      const [x0, x1] = [x(point.tMs), x(point.tMs + stepMs)];
      pen.fillRect(x0, y(point.mean) - 1, Math.max(2.5, x1 - x0), 2);
      return;
    }
    pen.globalAlpha = 0.22;
    pen.beginPath();
    for (const point of run) pen.lineTo(center(point), y(point.high));
    for (const point of [...run].reverse()) pen.lineTo(center(point), y(point.low));
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 1.75;
    pen.lineJoin = "round";
    pen.beginPath();
    for (const point of run) pen.lineTo(center(point), y(point.mean));
    pen.stroke();
  }

  #describe(points, runs, words) {
    const { short, label, unit, digits } = this.#quantity;
    const gaps = Math.max(0, runs.length - 1);
    if (points.length === 0) {
      this.stats = { n: 0, gaps: 0, low: null, high: null };
      setText(this.#range, "no values");
      this.#canvas.setAttribute("aria-label", `${label}, ${words}: no values`);
      return;
    }
    const low = Math.min(...points.map((point) => point.low));
    const high = Math.max(...points.map((point) => point.high));
    this.stats = { n: points.length, gaps, low, high };
    const range = low.toFixed(digits) === high.toFixed(digits) ? low.toFixed(digits) : `${low.toFixed(digits)} – ${high.toFixed(digits)}`;
    setText(this.#range, range);
    this.#range.title = `least and greatest ${short} shown`;
    this.#canvas.setAttribute("aria-label", `${label}, ${words}: ${range} ${unit}${gaps > 0 ? `, ${gaps} gaps` : ""}`);
  }
}

function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

// Points that are further apart than joinMs belong to two runs.
export function runsOf(points, joinMs) {
  const runs = [];
  for (const point of points) {
    const run = runs.at(-1);
    if (run === undefined || point.tMs - run.at(-1).tMs > joinMs) runs.push([point]);
    else run.push(point);
  }
  return runs;
}

// Round edges around all that is shown, never closer together than the quantity's usual spread.
export function rangeOf(points, quantity) {
  const { from, to } = quantity.usual;
  const low = Math.min(from, ...points.map((point) => point.low));
  const high = Math.max(to, ...points.map((point) => point.high));
  const step = STEPS.find((candidate) => Math.ceil(high / candidate) - Math.floor(low / candidate) <= N_TICKS_MAX) ?? STEPS.at(-1);
  return { low: Math.floor(low / step) * step, high: Math.ceil(high / step) * step, step };
}

// The first round time of the local clock.
function firstTick(fromMs, tickMs) {
  const zoneMs = new Date(fromMs).getTimezoneOffset() * 60_000;
  return Math.ceil((fromMs - zoneMs) / tickMs) * tickMs + zoneMs;
}

function clockWords(tMs) {
  return new Date(tMs).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}
