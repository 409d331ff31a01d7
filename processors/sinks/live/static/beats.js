// Where the beats were found, above the trace that they were found in; each class has a shape.

const BEATS_MAX = 2048; // ten minutes at 200/min; beyond, the oldest is forgotten
const CLASSES = { 1: "normal", 5: "ventricular", 12: "paced", 13: "unknown" }; // annotation codes of WFDB
const COLORS = { normal: "#8fa0b0", ventricular: "#ffc24a", paced: "#7fdcf5", unknown: "#8fa0b0" };
const UNSURE = 0.5;
const SAME_MS = 1;
const HIGH_PX = 8;

export const MARK_PX = 7; // half of the widest mark

export class BeatMarks {
  #beats = []; // {tMs, name, isSure}

  add(tMs, quality) {
    if (this.#find(tMs) !== undefined) return;
    this.#beats.push({ tMs, name: "unknown", isSure: quality >= UNSURE });
    if (this.#beats.length > BEATS_MAX) this.#beats.shift();
  }

  // A class is told after its beat. Returns whether the beat was known.
  classify(tMs, code) {
    const beat = this.#find(tMs);
    if (beat === undefined) return false;
    beat.name = CLASSES[code] ?? "unknown";
    return true;
  }

  get counts() {
    const counts = {};
    for (const { name } of this.#beats) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  }

  draw(view, axis, fromMs, toMs) {
    const end = this.#from(toMs);
    for (let i = this.#from(fromMs); i < end; i += 1) {
      const beat = this.#beats[i];
      view.pen.globalAlpha = beat.isSure ? 1 : 0.45;
      mark(view, axis.x(beat.tMs), beat.name);
    }
    view.pen.globalAlpha = 1;
  }

  // Beats come in the order of time but for a clock that was set back: the last ones are looked at.
  #find(tMs) {
    return this.#beats.findLast((beat) => Math.abs(beat.tMs - tMs) < SAME_MS);
  }

  #from(tMs) {
    let i = this.#beats.length;
    while (i > 0 && this.#beats[i - 1].tMs >= tMs) i -= 1;
    return i;
  }
}

function mark({ pen, height, ratio }, x, name) {
  const high = Math.min(HIGH_PX * ratio, height * 0.16);
  const top = 2 * ratio;
  pen.fillStyle = pen.strokeStyle = COLORS[name];
  pen.lineWidth = 1.5 * ratio;
  pen.beginPath();
  if (name === "ventricular") {
    pen.moveTo(x - high * 0.7, top);
    pen.lineTo(x + high * 0.7, top);
    pen.lineTo(x, top + high * 1.2);
    pen.fill();
  } else if (name === "unknown") {
    pen.arc(x, top + high / 2, high * 0.36, 0, 2 * Math.PI);
    pen.stroke();
  } else {
    pen.moveTo(x, top);
    pen.lineTo(x, top + high);
    if (name === "paced") {
      pen.moveTo(x - high * 0.5, top + high / 2);
      pen.lineTo(x + high * 0.5, top + high / 2);
    }
    pen.stroke();
  }
}
