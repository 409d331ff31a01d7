// The time of a frozen picture: a tick for each second, and the time of day below the lowest trace.

const STEPS_S = [1, 2, 5, 10, 15, 30, 60];
const LABEL_PX = 84;
const TICK = "#5c6b79";
const WORDS = "#b4c0cc";
const PLATE = "rgba(6, 9, 13, 0.8)";

const TIME_OF_DAY = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

export function timeWords(tMs) {
  return TIME_OF_DAY.format(tMs);
}

export const TIMELINE_PX = 16; // high, with labels

// The labels stand in the foot of the view, if it has one.
export function drawTimeline({ pen, height, width, foot, ratio }, axis) {
  const stepS = STEPS_S.find((s) => s * 1000 * axis.perMs >= LABEL_PX * ratio) ?? STEPS_S.at(-1);
  pen.fillStyle = PLATE;
  pen.fillRect(0, height - foot, width, foot);
  pen.font = `${11 * ratio}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "alphabetic";
  const end = (axis.leftMs + axis.spanMs) / 1000;
  for (let second = Math.ceil(axis.leftMs / 1000); second < end; second += 1) {
    const x = Math.round(axis.x(second * 1000));
    const isLong = second % stepS === 0;
    pen.fillStyle = TICK;
    pen.fillRect(x, height - foot - (isLong ? 6 : 3) * ratio, Math.max(1, ratio), (isLong ? 6 : 3) * ratio);
    if (!isLong || foot === 0 || x < 30 * ratio || x > width - 30 * ratio) continue;
    pen.fillStyle = WORDS;
    pen.fillText(timeWords(second * 1000), x, height - 4 * ratio);
  }
}
