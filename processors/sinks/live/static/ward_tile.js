// One subject on the ward: numbers with their age and quality, a miniature, and in words what is wrong.

import { judgeLimit, limitMark } from "./limits.js";
import { Miniature } from "./miniature.js";
import { NumeralSources, QUANTITIES, SEGMENTS } from "./numerals.js";
import { WELL, conditionsOf } from "./ward_order.js";
import { durationWords, element, setText } from "./words.js";

const NAMES = ["heart_rate", "spo2", "respiratory_rate", "pulse_rate", "body_temperature"];
const SHOWN = NAMES.map((name) => QUANTITIES.find((quantity) => quantity.name === name));
const BATTERY = QUANTITIES.find((quantity) => quantity.name === "battery_level");
const CONDITIONS_SHOWN = 2;

export class WardTile {
  #row = null;
  #sources = new Map([...SHOWN, BATTERY].map((quantity) => [quantity.name, new NumeralSources(quantity)]));
  #parts;
  rank = WELL;
  conditions = [];

  constructor(subject, address) {
    this.subject = subject;
    this.#parts = build(subject, address);
    this.node = this.#parts.node;
    this.link = this.#parts.link;
    this.miniature = new Miniature(this.#parts.canvas);
  }

  // A row of the ward's message; pageMs: when it came; clock: the server's.
  tell(row, pageMs, clock) {
    this.#row = row;
    const told = new Map();
    for (const numeral of row.numerals) {
      this.#sources.get(numeral.name)?.add(numeral, pageMs - clock.waitedMs(numeral.heard_ms));
      if (!told.has(numeral.name)) told.set(numeral.name, new Set());
      told.get(numeral.name).add(numeral.source);
    }
    for (const [name, sources] of this.#sources) sources.keep(told.get(name) ?? new Set());
    this.miniature.describe(row.trace);
  }

  // Everything grows old by the clocks: serverMs the server's, pageMs the page's own.
  judge(serverMs, pageMs, limits) {
    const row = this.#row;
    const eventMs = serverMs - (row.lag_ms ?? 0);
    const verdicts = SHOWN.map((quantity) => ({ quantity, ...this.#sources.get(quantity.name).judge(eventMs, pageMs) }));
    const battery = this.#sources.get(BATTERY.name).judge(eventMs, pageMs);
    const heardAgeMs = row.heard_ms === null ? null : serverMs - row.heard_ms;
    this.conditions = conditionsOf({
      alarms: row.alarms, devices: row.devices, heardAgeMs, hasWaveform: row.trace !== null, verdicts, limits,
    });
    this.rank = this.conditions[0]?.rank ?? WELL;
    this.#show(verdicts, battery, limits);
  }

  get receivedMs() {
    return this.#row.received_ms;
  }

  get heardMs() {
    return this.#row.heard_ms;
  }

  // For tests.
  get stats() {
    return {
      subject: this.subject,
      rank: this.rank,
      words: this.#parts.words.textContent,
      values: Object.fromEntries(this.#parts.cells.map(({ value, node }, i) => [NAMES[i], { value: value.textContent, state: node.dataset.state }])),
      drawn: this.miniature.nDrawn,
    };
  }

  #show(verdicts, battery, limits) {
    const { link, words, battery: cell, cells } = this.#parts;
    link.dataset.rank = this.rank;
    verdicts.forEach((verdict, i) => showCell(cells[i], verdict, limits));
    setText(words, this.#words());
    const percent = battery.state === "ok" ? `${battery.value} %` : "";
    setText(cell.text, percent);
    cell.node.hidden = percent === "";
    cell.node.classList.toggle("is-low", battery.number < 20);
    cell.fill.style.width = `${battery.number ?? 0}%`;
    const spoken = verdicts.filter(({ state }) => state !== "absent")
      .map(({ quantity, state, value, reason }) => `${quantity.label} ${state === "ok" ? `${value} ${quantity.unit}` : reason}`);
    const label = [this.subject, words.textContent, ...spoken].join(", ");
    if (link.getAttribute("aria-label") !== label) link.setAttribute("aria-label", label);
  }

  #words() {
    const found = this.conditions.slice(0, CONDITIONS_SHOWN).map(({ mark, words }) => `${mark} ${words}`);
    const nMore = this.conditions.length - found.length;
    if (found.length > 0) return found.join("   ") + (nMore > 0 ? `   +${nMore}` : "");
    const { devices, trace, lag_ms: lagMs } = this.#row;
    const n = devices.filter((device) => device.connected).length;
    const link = devices.length === 0 ? "" : n === devices.length ? `${n} connected` : `${n} of ${devices.length} connected`;
    return [lagMs === null ? "" : "Replay", link, trace?.label ?? ""].filter(Boolean).join(" · ");
  }
}

function showCell({ node, value, age, mark, segments, meter }, verdict, limits) {
  const { quantity, state, quality, ageS } = verdict;
  node.dataset.state = state;
  const limit = judgeLimit(limits, quantity.name, state === "ok" ? Number(verdict.value) : null);
  node.dataset.limit = limit.level;
  setText(value, state === "absent" ? "" : verdict.value);
  setText(mark, limitMark(limit));
  setText(age, state === "absent" || ageS === null ? "" : durationWords(ageS));
  const nLit = state === "ok" || state === "poor" ? Math.max(1, Math.round(quality * SEGMENTS)) : 0;
  segments.forEach((segment, i) => segment.classList.toggle("is-lit", i < nLit));
  meter.title = nLit === 0 ? "no quality" : `quality ${nLit} of ${SEGMENTS}`;
}

function build(subject, address) {
  const node = element("li", "ward-item");
  const link = element("a", "ward-tile");
  link.href = address;
  link.dataset.subject = subject;
  const head = element("div", "ward-head");
  const name = element("span", "ward-name", subject);
  name.title = subject;
  const battery = buildBattery();
  head.append(name, battery.node);
  const values = element("div", "ward-values");
  const cells = SHOWN.map((quantity) => {
    const cell = buildCell(quantity);
    values.append(cell.node);
    return cell;
  });
  const canvas = element("canvas", "ward-trace");
  const words = element("p", "ward-words");
  link.append(head, values, canvas, words);
  node.append(link);
  return { node, link, battery, cells, canvas, words };
}

function buildCell(quantity) {
  const node = element("div", "ward-cell");
  node.dataset.quantity = quantity.name;
  node.dataset.tone = quantity.tone;
  const head = element("div", "ward-cell-head");
  const mark = element("span", "ward-mark");
  const age = element("span", "ward-age");
  head.append(element("span", "ward-label", quantity.short), mark, age);
  const value = element("span", "ward-value");
  const meter = element("span", "ward-quality");
  const segments = Array.from({ length: SEGMENTS }, () => element("i"));
  meter.append(...segments);
  node.append(head, value, meter);
  return { node, value, age, mark, segments, meter };
}

function buildBattery() {
  const node = element("span", "ward-battery");
  const cell = element("span", "cell");
  const fill = element("span", "cell-fill");
  cell.append(fill);
  const text = element("span");
  node.append(cell, text);
  return { node, fill, text };
}
