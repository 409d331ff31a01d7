// The last hours as small charts. The server keeps them; the page keeps what it was told.

import { QUANTITIES } from "./numerals.js";
import { TrendChart } from "./trend_chart.js";
import { element } from "./words.js";

const MINUTE_MS = 60_000;
const WINDOWS = [
  { label: "15 min", words: "last 15 minutes", stepS: 10, spanMs: 15 * MINUTE_MS, tickMs: 5 * MINUTE_MS },
  { label: "1 h", words: "last hour", stepS: 10, spanMs: 60 * MINUTE_MS, tickMs: 15 * MINUTE_MS },
  { label: "8 h", words: "last 8 hours", stepS: 60, spanMs: 480 * MINUTE_MS, tickMs: 120 * MINUTE_MS },
];
const KEPT_MS = 9 * 60 * MINUTE_MS;
const REDRAW_MS = 2000;
// From where to where a chart reaches at least, so that a steady value looks steady.
const USUAL = {
  heart_rate: { from: 60, to: 90 },
  pulse_rate: { from: 60, to: 90 },
  spo2: { from: 92, to: 100 },
  respiratory_rate: { from: 10, to: 20 },
  body_temperature: { from: 36, to: 38 },
};

export class TrendBoard {
  #charts = new Map();
  #points = new Map(); // by name and step: Map of begin, ms, to {mean, low, high}
  #window = WINDOWS[1];
  #buttons;
  #row = element("div", "trend-row");
  #empty = element("p", "trend-empty", "Trends begin with the first values.");
  #endMs = null;
  #limits = {};
  #drawnMs = 0;

  constructor(root) {
    const bar = element("div", "trend-bar");
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "How much time the trends show");
    this.#buttons = WINDOWS.map((window) => {
      const button = element("button", "button", window.label);
      button.type = "button";
      button.addEventListener("click", () => this.#choose(window));
      bar.append(button);
      return button;
    });
    for (const quantity of QUANTITIES.filter((one) => one.name in USUAL)) {
      const chart = new TrendChart({ ...quantity, usual: USUAL[quantity.name] });
      chart.node.hidden = true;
      this.#charts.set(quantity.name, chart);
      this.#row.append(chart.node);
    }
    root.append(element("h2", "trend-title", "Trends"), bar, this.#empty, this.#row);
    new ResizeObserver(() => this.redraw()).observe(this.#row);
    this.#choose(this.#window);
  }

  add(trend) {
    const key = `${trend.name}/${trend.step_s}`;
    let points = this.#points.get(key);
    if (points === undefined) this.#points.set(key, points = new Map());
    trend.mean.forEach((mean, i) => {
      const tMs = trend.t0_ms + i * trend.step_s * 1000;
      if (mean === null) points.delete(tMs);
      else points.set(tMs, { tMs, mean, low: trend.low[i], high: trend.high[i] });
    });
    this.#drawnMs = 0;
  }

  clear() {
    this.#points.clear();
    this.#endMs = null;
    this.redraw();
  }

  // eventNowMs: the subject's time, at the right edge.
  judge(eventNowMs, limits) {
    this.#endMs = eventNowMs;
    this.#limits = limits;
    if (performance.now() - this.#drawnMs > REDRAW_MS) this.redraw();
  }

  redraw() {
    this.#drawnMs = performance.now();
    this.#forget();
    const shown = [...this.#charts.keys()].filter((name) => this.#has(name));
    this.#empty.hidden = shown.length > 0;
    for (const [name, chart] of this.#charts) {
      // The pulse is the same rate as the heart's: it stands in where there is no ECG.
      chart.node.hidden = !shown.includes(name) || (name === "pulse_rate" && shown.includes("heart_rate"));
      if (!chart.node.hidden && this.#endMs !== null) this.#draw(name, chart);
    }
  }

  get stats() {
    return Object.fromEntries([...this.#charts].filter(([, chart]) => !chart.node.hidden).map(([name, chart]) => [name, chart.stats]));
  }

  #draw(name, chart) {
    const { stepS, spanMs, tickMs, words } = this.#window;
    const stepMs = stepS * 1000;
    const toMs = Math.ceil(this.#endMs / stepMs) * stepMs;
    const fromMs = toMs - spanMs;
    const points = [...this.#points.get(`${name}/${stepS}`)?.values() ?? []]
      .filter((point) => point.tMs >= fromMs && point.tMs < toMs)
      .sort((a, b) => a.tMs - b.tMs);
    chart.draw(points, { fromMs, toMs, stepMs, tickMs, words, limits: this.#limits });
  }

  #has(name) {
    return WINDOWS.some(({ stepS }) => (this.#points.get(`${name}/${stepS}`)?.size ?? 0) > 0);
  }

  #choose(window) {
    this.#window = window;
    this.#buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(WINDOWS[i] === window)));
    this.redraw();
  }

  #forget() {
    if (this.#endMs === null) return;
    for (const points of this.#points.values()) {
      for (const tMs of points.keys()) if (Math.abs(this.#endMs - tMs) > KEPT_MS) points.delete(tMs);
    }
  }
}
