// What is wrong with a subject, in words; and who comes first. A technical order: it says where to
// look for the signal, not who is the most ill.

import { judgeLimit, limitMark } from "./limits.js";
import { durationWords, readable } from "./words.js";

export const REORDER_MS = 5000; // no tile moves more often
const CALM_MS = 15_000; // who is better stays in place for so long: one that flickers does not jump
export const RULE = "Worst first: conditions, no data, no value, beyond a limit. Moves at most every 5 s.";

const PRIORITIES = { high: 0, medium: 1, low: 2 };
const NO_DATA = 3;
const NO_VALUE = 4;
const FAR = 5;
const BEYOND = 6;
export const WELL = 9;

const NO_DATA_MS = 3000;
const NO_READING_MS = 15_000; // of a subject without waveforms: readings come seldom

// Returns {rank, mark, words} for each thing that is wrong, the worst first.
// view: {alarms, devices, heardAgeMs, hasWaveform, verdicts: [{quantity, state, value, reason}], limits}
export function conditionsOf(view) {
  const found = [...view.alarms.map(ofAlarm), ...ofData(view)];
  // Of someone who is not heard every value is missing: that was said.
  if (!found.some(({ rank }) => rank === NO_DATA)) {
    found.push(...view.devices.flatMap(ofDevice), ...view.verdicts.flatMap((verdict) => ofVerdict(verdict, view.limits)));
  }
  return found.sort((a, b) => a.rank - b.rank);
}

function ofAlarm(alarm) {
  const rank = PRIORITIES[alarm.priority] ?? PRIORITIES.low;
  return { rank, mark: "!".repeat(3 - rank), words: sentence(readable(alarm.detail || alarm.name)) };
}

function ofData({ heardAgeMs, hasWaveform }) {
  if (heardAgeMs === null) return [{ rank: NO_DATA, mark: "○", words: "No data yet" }];
  if (heardAgeMs <= (hasWaveform ? NO_DATA_MS : NO_READING_MS)) return [];
  return [{ rank: NO_DATA, mark: "○", words: `No data for ${durationWords(heardAgeMs / 1000)}` }];
}

function ofDevice(device) {
  if (device.connected === false) return [{ rank: NO_VALUE, mark: "×", words: `Link lost: ${device.device}` }];
  if (device.contact === false) return [{ rank: NO_VALUE, mark: "×", words: `No skin contact: ${device.device}` }];
  if (device.battery_low || (device.battery_percent !== null && device.battery_percent < 20)) {
    return [{ rank: BEYOND, mark: "↓", words: `Battery low: ${device.device}` }];
  }
  return [];
}

function ofVerdict({ quantity, state, value, reason }, limits) {
  if (quantity.lowest || state === "absent") return [];
  if (state !== "ok") return [{ rank: NO_VALUE, mark: "–", words: `${quantity.short}: ${reason}` }];
  const limit = judgeLimit(limits, quantity.name, Number(value));
  if (limit.level < 2) return [];
  return [{ rank: limit.level === 3 ? FAR : BEYOND, mark: limitMark(limit), words: `${quantity.short} ${limit.words}` }];
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Keeps the order of the tiles. Worse counts at once, better after a while.
export class TileOrder {
  #kept = new Map(); // subject to {rank, betterSinceMs}
  #atMs = -Infinity;
  isFixed = false;

  // ranks: subject to rank. Returns the subjects in order, or null where they are not to be moved yet.
  arrange(ranks, nowMs, { isHeld, isNew }) {
    for (const subject of this.#kept.keys()) if (!ranks.has(subject)) this.#kept.delete(subject);
    for (const [subject, rank] of ranks) this.#keep(subject, rank, nowMs);
    if (!isNew && (isHeld || nowMs - this.#atMs < REORDER_MS)) return null;
    this.#atMs = nowMs;
    return [...ranks.keys()].sort((a, b) => (this.isFixed ? 0 : this.#kept.get(a).rank - this.#kept.get(b).rank) || compareNames(a, b));
  }

  #keep(subject, rank, nowMs) {
    const kept = this.#kept.get(subject);
    if (kept === undefined || rank <= kept.rank) {
      this.#kept.set(subject, { rank, betterSinceMs: null });
      return;
    }
    kept.betterSinceMs ??= nowMs;
    if (nowMs - kept.betterSinceMs >= CALM_MS) this.#kept.set(subject, { rank, betterSinceMs: null });
  }
}

// "bed-9" before "bed-10".
export function compareNames(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}
