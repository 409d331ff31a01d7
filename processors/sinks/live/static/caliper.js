// Two marks on a frozen picture, and what lies between them.

import { unitWords } from "./words.js";

const MARK = "#f4f7fa";
const PLATE = "rgba(6, 9, 13, 0.86)";
const RATE_MS_MIN = 200; // of what is nearer together or farther apart, a rate says nothing
const RATE_MS_MAX = 3000;

// "833 ms · 72/min"
export function spanWords([aMs, bMs]) {
  const ms = Math.abs(bMs - aMs);
  const rate = ms >= RATE_MS_MIN && ms <= RATE_MS_MAX ? ` · ${Math.round(60_000 / ms)}/min` : "";
  return `${Math.round(ms)}\u00a0ms${rate}`;
}

// marks: two instants; values: what the trace is at each, or null. Not of a signal without a scale.
export function drawCaliper(view, axis, marks, values) {
  const { pen, height, width, ratio, unit } = view;
  pen.strokeStyle = MARK;
  pen.lineWidth = ratio;
  marks.forEach((tMs, i) => {
    const x = Math.round(axis.x(tMs)) + 0.5;
    if (x < 0 || x > width) return;
    pen.setLineDash(i === 0 ? [] : [5 * ratio, 3 * ratio]);
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, height);
    pen.stroke();
    if (values[i] !== null) dot(view, x, view.y(values[i]));
  });
  pen.setLineDash([]);
  if (unit === null || values.includes(null)) return;
  const difference = values[1] - values[0];
  const text = `${difference < 0 ? "−" : "+"}${Math.abs(difference).toFixed(view.decimals)} ${unitWords(unit)}`;
  plate(view, text, axis.x(Math.max(...marks)));
}

function dot({ pen, ratio }, x, y) {
  pen.fillStyle = MARK;
  pen.beginPath();
  pen.arc(x, y, 3 * ratio, 0, 2 * Math.PI);
  pen.fill();
}

function plate({ pen, width, height, ratio }, text, x) {
  const high = 20 * ratio;
  pen.font = `600 ${12 * ratio}px system-ui, sans-serif`;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  const wide = pen.measureText(text).width + 12 * ratio;
  const left = x + 8 * ratio + wide > width ? x - 8 * ratio - wide : x + 8 * ratio;
  const top = Math.min(14 * ratio, Math.max(0, height - high));
  pen.fillStyle = PLATE;
  pen.fillRect(left, top, wide, high);
  pen.fillStyle = MARK;
  pen.fillText(text, left + 6 * ratio, top + high / 2);
}
