// The paper's lines, drawn once for each size and copied from there behind the traces.

const BACKGROUND = "#06090d";
const FINE = "#0c1319"; // 1 mm
const COARSE = "#182530"; // 5 mm
const FINE_PIXELS_MIN = 3; // nearer together, lines are a grey
const SHEETS_MAX = 8;

const sheets = new Map(); // by what was asked for; the one used last stands last

// A canvas of lines. pxPerMm is of device pixels; with `isFine`, an ECG's squares of 1 and 5 mm,
// counted from the middle; else upright lines only, for what has no millimetres of height.
export function gridSheet({ width, height, pxPerMm, isFine }) {
  const key = [width, height, pxPerMm, isFine].join(" ");
  const sheet = sheets.get(key) ?? draw(width, height, pxPerMm, isFine);
  sheets.delete(key);
  sheets.set(key, sheet);
  if (sheets.size > SHEETS_MAX) sheets.delete(sheets.keys().next().value);
  return sheet;
}

function draw(width, height, pxPerMm, isFine) {
  const sheet = document.createElement("canvas");
  Object.assign(sheet, { width, height });
  const pen = sheet.getContext("2d", { alpha: false });
  pen.fillStyle = BACKGROUND;
  pen.fillRect(0, 0, width, height);
  if (isFine && pxPerMm >= FINE_PIXELS_MIN) lines(pen, { width, height, step: pxPerMm, color: FINE, isFine });
  lines(pen, { width, height, step: 5 * pxPerMm, color: COARSE, isFine });
  return sheet;
}

function lines(pen, { width, height, step, color, isFine }) {
  pen.fillStyle = color;
  for (let x = 0; x < width; x += step) pen.fillRect(Math.round(x), 0, 1, height);
  if (!isFine) return;
  for (let y = (height / 2) % step; y < height; y += step) pen.fillRect(0, Math.round(y), width, 1);
}
