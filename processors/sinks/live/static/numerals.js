// The numbers on the right. A number is shown only while it is fresh and believed; otherwise three
// dashes and the reason in words. It grows old by the clock, not by messages.

import { judgeLimit, limitMark } from "./limits.js";
import { STALE_S } from "./staleness.js";
import { durationWords, element, reasonWords, setText } from "./words.js";

const QUALITY_MIN = 0.5; // a source that gives a value all the same is not believed
export const SEGMENTS = 5;
const BATTERY_LOW_PERCENT = 20;

export const QUANTITIES = [
  { name: "heart_rate", label: "Heart rate", short: "HR", unit: "bpm", digits: 0, tone: "ecg" },
  { name: "spo2", label: "Oxygen saturation", short: "SpO₂", unit: "%", digits: 0, tone: "spo2" },
  { name: "pulse_rate", label: "Pulse rate", short: "Pulse", unit: "bpm", digits: 0, tone: "pulse" },
  { name: "respiratory_rate", label: "Respiratory rate", short: "Resp", unit: "/min", digits: 0, tone: "resp" },
  { name: "body_temperature", label: "Body temperature", short: "Temp", unit: "°C", digits: 1, tone: "temp" },
  { name: "perfusion_index", label: "Perfusion index", short: "Perfusion", unit: "%", digits: 1, tone: "perfusion" },
  { name: "battery_level", label: "Battery level", short: "Battery", unit: "%", digits: 0, tone: "battery", lowest: true },
];

export class NumeralBoard {
  #tiles = new Map();
  limits = {};

  constructor(root) {
    for (const quantity of QUANTITIES) {
      const tile = new Tile(quantity);
      this.#tiles.set(quantity.name, tile);
      root.append(tile.node);
    }
  }

  add(numeral, arrivedMs) {
    this.#tiles.get(numeral.name)?.add(numeral, arrivedMs);
  }

  beat(source, arrivedMs) {
    this.#tiles.get("heart_rate").beat(source, arrivedMs);
  }

  clear() {
    for (const tile of this.#tiles.values()) tile.clear();
  }

  // eventNowMs: the subject's time; pageMs: when the messages came, on the page's clock.
  judge(eventNowMs, pageMs) {
    for (const tile of this.#tiles.values()) tile.judge(eventNowMs, pageMs, this.limits);
  }

  get texts() {
    return Object.fromEntries([...this.#tiles].map(([name, tile]) => [name, tile.text]));
  }
}

// The sources of one quantity, and which of them is shown.
export class NumeralSources {
  #quantity;
  #sources = new Map(); // the newest numeral of each source
  #shown = null; // the source that is shown

  constructor(quantity) {
    this.#quantity = quantity;
  }

  // What is told again is no newer than it was.
  add(numeral, arrivedMs) {
    const kept = this.#sources.get(numeral.source);
    const isSame = kept !== undefined && kept.t_ms === numeral.t_ms && kept.value === numeral.value;
    this.#sources.set(numeral.source, { ...numeral, arrivedMs: isSame ? kept.arrivedMs : arrivedMs });
  }

  clear() {
    this.#sources.clear();
    this.#shown = null;
  }

  // Sources that are not told of any more are forgotten.
  keep(sources) {
    for (const source of this.#sources.keys()) if (!sources.has(source)) this.#sources.delete(source);
  }

  judge(eventNowMs, pageMs) {
    const verdicts = [...this.#sources.values()].map((numeral) => judge(numeral, this.#quantity, eventNowMs, pageMs));
    if (verdicts.length === 0) return ABSENT;
    const best = this.#quantity.lowest ? lowest(verdicts) : this.#best(verdicts);
    this.#shown = best.source;
    return best;
  }

  // What is fused from all sources stands for them. Otherwise the source that was shown stays while
  // it is good; two that alternate would flicker.
  #best(verdicts) {
    const fused = verdicts.find((verdict) => verdict.source.endsWith("_fusion") && verdict.state !== "stale");
    if (fused !== undefined) return fused;
    const shown = verdicts.find((verdict) => verdict.source === this.#shown);
    if (shown?.state === "ok") return shown;
    const good = verdicts.filter((verdict) => verdict.state === "ok");
    const [best] = (good.length > 0 ? good : verdicts).sort((a, b) => b.quality - a.quality || a.ageS - b.ageS);
    return good.length === 0 && shown !== undefined && shown.state !== "stale" ? shown : best;
  }
}

const ABSENT = { state: "absent", value: "---", reason: "not measured", ageS: null, quality: 0, number: null, channels: [] };

class Tile {
  #quantity;
  #sources;
  #parts;
  #beatSource = { name: null, atMs: 0 };

  constructor(quantity) {
    this.#quantity = quantity;
    this.#sources = new NumeralSources(quantity);
    this.#parts = build(quantity);
    this.node = this.#parts.node;
    this.#show(ABSENT, {});
  }

  add(numeral, arrivedMs) {
    this.#sources.add(numeral, arrivedMs);
  }

  clear() {
    this.#sources.clear();
  }

  get text() {
    const { node, value, reason } = this.#parts;
    return { value: value.textContent, reason: reason.textContent, state: node.dataset.state };
  }

  // Beats of one source only: of ECG and pleth together each would flash twice.
  beat(source, arrivedMs) {
    const current = this.#beatSource;
    if (current.name !== source && arrivedMs - current.atMs < 5000) return;
    this.#beatSource = { name: source, atMs: arrivedMs };
    const { heart } = this.#parts;
    heart.classList.remove("beats");
    requestAnimationFrame(() => heart.classList.add("beats"));
  }

  judge(eventNowMs, pageMs, limits) {
    this.#show(this.#sources.judge(eventNowMs, pageMs), limits);
  }

  #show({ state, value, reason, ageS, quality, number, channels }, limits) {
    const { node, value: output, reason: words, age, segments, meter, limit: side, device } = this.#parts;
    const isLow = this.#quantity.lowest === true && state === "ok" && number < BATTERY_LOW_PERCENT;
    node.dataset.state = isLow ? "low" : state;
    setText(output, value);
    output.style.setProperty("--chars", value.length);
    setText(words, isLow ? "battery low" : reason);
    setText(age, ageS === null ? "" : durationWords(ageS));
    setText(device, this.#quantity.lowest ? "" : deviceWords(channels));
    const limit = judgeLimit(limits, this.#quantity.name, state === "ok" ? Number(value) : null);
    node.dataset.limit = limit.level;
    setText(side.mark, limitMark(limit));
    setText(side.words, limit.words);
    const nLit = state === "ok" || state === "poor" ? Math.max(1, Math.round(quality * SEGMENTS)) : 0;
    segments.forEach((segment, i) => segment.classList.toggle("is-lit", i < nLit));
    meter.setAttribute("aria-label", nLit === 0 ? "no quality" : `quality ${nLit} of ${SEGMENTS}`);
  }
}

function judge(numeral, quantity, eventNowMs, pageMs) {
  const silentS = (pageMs - numeral.arrivedMs) / 1000;
  const ageS = Math.max(0, (eventNowMs - numeral.t_ms) / 1000);
  const verdict = { source: numeral.source, value: "---", ageS, quality: numeral.quality, number: numeral.value, channels: numeral.channels };
  // Both: a device whose clock is ahead would otherwise never grow old.
  const staleS = Math.max(ageS, silentS);
  if (staleS > STALE_S[quantity.name]) return { ...verdict, ageS: staleS, state: "stale", reason: `no update for ${durationWords(staleS)}` };
  if (numeral.value === null) return { ...verdict, state: "none", reason: reasonWords(numeral.reason ?? "no value") };
  if (numeral.quality < QUALITY_MIN) return { ...verdict, state: "poor", reason: "signal quality poor" };
  return { ...verdict, state: "ok", value: numeral.value.toFixed(quantity.digits), reason: "" };
}

function lowest(verdicts) {
  const good = verdicts.filter((verdict) => verdict.state === "ok");
  if (good.length === 0) return verdicts[0];
  const worst = good.reduce((a, b) => (b.number < a.number ? b : a));
  return { ...worst, reason: verdicts.length > 1 ? worst.source : "" };
}

// Which devices a value rests on: of `strap/ecg` and `strap/acc/x` the strap, once. Where channels
// are named, what has none is a step of the processing.
function deviceWords(channels) {
  const named = channels.filter((channel) => channel.includes("/"));
  return [...new Set((named.length > 0 ? named : channels).map((channel) => channel.split("/")[0]))].join(" + ");
}

function build(quantity) {
  const node = element("article", "tile");
  node.dataset.quantity = quantity.name;
  node.dataset.tone = quantity.tone;
  node.setAttribute("aria-label", quantity.label);
  const head = element("div", "tile-head");
  const label = element("h2", "tile-label", quantity.short);
  label.title = quantity.label;
  const unit = element("span", "tile-unit", quantity.unit);
  const heart = buildHeart();
  const limit = { node: element("span", "tile-limit"), mark: element("span"), words: element("span", "tile-limit-words") };
  limit.node.append(limit.mark, limit.words);
  head.append(label, unit, limit.node);
  if (quantity.name === "heart_rate") head.append(heart);
  const value = element("output", "tile-value", "---");
  value.setAttribute("aria-live", "off");
  const reason = element("p", "tile-reason");
  const foot = element("div", "tile-foot");
  const meter = element("div", "tile-quality");
  meter.setAttribute("role", "img");
  const segments = Array.from({ length: SEGMENTS }, () => element("i"));
  meter.append(...segments);
  const device = element("span", "tile-device");
  const age = element("span", "tile-age");
  age.title = "age";
  foot.append(meter, device, age);
  node.append(head, value, reason, foot);
  return { node, value, reason, age, segments, meter, heart, limit, device };
}

function buildHeart() {
  const space = "http://www.w3.org/2000/svg";
  const heart = document.createElementNS(space, "svg");
  heart.setAttribute("viewBox", "0 0 24 24");
  heart.setAttribute("class", "heart");
  heart.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", "M12 21C5 15.500 2 12 2 8a5 5 0 0 1 10-1.500A5 5 0 0 1 22 8c0 4-3 7.500-10 13z");
  heart.append(path);
  return heart;
}
