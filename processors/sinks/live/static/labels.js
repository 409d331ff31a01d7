// What people have marked, on a frozen picture: a line at a moment, a band over an interval.

const LABELS_MAX = 256; // beyond, the oldest is forgotten
const INK = "#d9b8ff";
const BAND = "rgb(217 184 255 / 16%)";
const TEXT_PX = 12;

export class LabelBook {
  #labels = [];

  add({ t_ms: tMs, end_ms: endMs, text, author, device, channel }) {
    const isKnown = this.#labels.some((one) => one.tMs === tMs && one.endMs === endMs && one.text === text && one.author === author);
    if (isKnown) return; // told again after a reconnection
    this.#labels.push({ tMs, endMs, text, author, device, channel });
    if (this.#labels.length > LABELS_MAX) this.#labels.shift();
  }

  clear() {
    this.#labels = [];
  }

  // Those of a channel, and those of all.
  of({ device, channel }) {
    return this.#labels.filter((one) => one.device === null || (one.device === device && [null, channel].includes(one.channel)));
  }

  get all() {
    return this.#labels.map((one) => ({ ...one }));
  }
}

export function drawLabels({ pen, width, height, ratio, foot }, axis, labels) {
  pen.save();
  pen.font = `600 ${TEXT_PX * ratio}px system-ui, sans-serif`;
  pen.textBaseline = "bottom";
  pen.textAlign = "left";
  for (const { tMs, endMs, text } of labels) {
    const x0 = axis.x(tMs);
    const x1 = axis.x(endMs);
    if (x1 < 0 || x0 > width) continue;
    pen.fillStyle = BAND;
    if (x1 > x0) pen.fillRect(x0, 0, x1 - x0, height);
    pen.fillStyle = INK;
    for (const x of x1 > x0 ? [x0, x1] : [x0]) pen.fillRect(Math.round(x), 0, 1.5 * ratio, height);
    const wide = pen.measureText(text).width;
    pen.fillText(text, Math.max(2 * ratio, Math.min(x0 + 4 * ratio, width - wide - 2 * ratio)), height - (foot ?? 0) - 3 * ratio);
  }
  pen.restore();
}
