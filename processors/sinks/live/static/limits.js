// Whether a value is beyond a limit. The table comes with the server's hello; limits.py is its place.

const NONE = { level: 0, side: "", words: "" };
const WORDS = ["", "slightly ", "", "very "];

// Returns {level, side, words}: level 0 usual to 3 far outside; side "low" or "high".
export function judgeLimit(limits, name, value) {
  const bands = limits?.[name];
  if (bands === undefined || value === null) return NONE;
  const i = bands.findLastIndex(([from]) => from === null || value >= from);
  const level = bands[i]?.[1] ?? 0;
  if (level === 0) return NONE;
  const side = i < bands.findIndex(([, score]) => score === 0) ? "low" : "high";
  return { level, side, words: `${WORDS[level]}${side}` };
}

// Not by colour alone: an arrow, and more of them the further outside.
export function limitMark({ level, side }) {
  return (side === "low" ? "▼" : "▲").repeat(level);
}

// Where a value begins to be more than slightly outside: the lines of a chart.
export function limitEdges(limits, name) {
  const bands = limits?.[name] ?? [];
  return bands.slice(1).filter(([, score], i) => (score >= 2) !== (bands[i][1] >= 2)).map(([from]) => from);
}
