// What is missing of one waveform, and the hatched band that says so and why.

import { causeWords, numberWords } from "./words.js";

const GAPS_MAX = 256; // beyond, the oldest is forgotten
const TOUCH_MS = 2; // gaps so near to each other are one
const HATCH = "#4a5765";
const PLATE = "#06090d";
const WORDS = "#b4c0cc";
const REPEAT_PX = 480; // a long gap says its cause again and again

export class GapList {
  #gaps = [];

  // Returns the gap, or null where it says nothing new.
  add(fromMs, toMs, cause) {
    // A gap that was seen before it was explained is the same one.
    const known = this.#gaps.findIndex((gap) => gap.fromMs < toMs && fromMs < gap.toMs);
    if (known >= 0 && this.#gaps[known].cause !== "not_received") return null;
    if (known >= 0) this.#gaps.splice(known, 1);
    // What an agent tells Frame by Frame is one gap all the same.
    const before = this.#gaps.find((gap) => gap.cause === cause && Math.abs(fromMs - gap.toMs) < TOUCH_MS);
    if (before !== undefined) {
      before.toMs = toMs;
      return { ...before, isNew: false };
    }
    const gap = { fromMs, toMs, cause };
    this.#gaps.push(gap);
    if (this.#gaps.length > GAPS_MAX) this.#gaps.shift();
    return { ...gap, isNew: known < 0 };
  }

  touches(fromMs, toMs) {
    return this.#gaps.some((gap) => gap.fromMs < toMs && fromMs < gap.toMs);
  }

  // Draw what falls into a stretch; the caller has clipped the pen to it.
  draw(view, axis, fromMs, toMs) {
    for (const gap of this.#gaps) {
      if (gap.fromMs >= toMs || gap.toMs <= fromMs) continue;
      axis.stretch(Math.max(gap.fromMs, fromMs), Math.min(gap.toMs, toMs), (x0, x1) => hatch(view, x0, x1));
      // The words stand where the whole gap wants them, however small the stretch is.
      const startMs = axis.startOf(axis.turnOf(Math.max(gap.fromMs, fromMs)));
      axis.stretch(Math.max(gap.fromMs, startMs), Math.min(gap.toMs, startMs + axis.spanMs), (x0, x1) => label(view, gap, x0, x1));
    }
  }
}

function hatch({ pen, height, ratio }, x0, x1) {
  const step = 9 * ratio;
  const top = height * 0.2;
  const bottom = height * 0.8;
  const rise = bottom - top;
  pen.save();
  pen.beginPath();
  pen.rect(x0, top, x1 - x0, rise);
  pen.clip();
  pen.strokeStyle = HATCH;
  pen.lineWidth = ratio;
  pen.beginPath();
  for (let x = Math.floor((x0 - rise) / step) * step; x < x1; x += step) {
    pen.moveTo(x, bottom);
    pen.lineTo(x + rise, top);
  }
  pen.stroke();
  pen.restore();
}

function label(view, gap, x0, x1) {
  const { pen, height, ratio } = view;
  const text = `${causeWords(gap.cause)} · ${numberWords((gap.toMs - gap.fromMs) / 1000)} s`;
  const high = 18 * ratio;
  pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
  const wide = pen.measureText(text).width + 12 * ratio;
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  if (x1 - x0 >= wide + 4 * ratio) {
    const n = Math.max(1, Math.floor((x1 - x0) / (REPEAT_PX * ratio)));
    for (let k = 0; k < n; k += 1) plate(view, text, x0 + ((k + 0.5) * (x1 - x0)) / n, { wide, high, turn: 0 });
  } else if (x1 - x0 >= high && height * 0.9 >= wide) {
    plate(view, text, (x0 + x1) / 2, { wide, high, turn: -Math.PI / 2 });
  }
}

// Words on a ground of their own, upright where the band is narrow.
function plate({ pen, height }, text, x, { wide, high, turn }) {
  pen.save();
  pen.translate(x, height / 2);
  pen.rotate(turn);
  pen.fillStyle = PLATE;
  pen.fillRect(-wide / 2, -high / 2, wide, high);
  pen.fillStyle = WORDS;
  pen.fillText(text, 0, 0);
  pen.restore();
}
