// How many columns, and how large: the largest type with which every tile is in sight. All of a tile is
// measured in em, so that it grows and shrinks as a whole.

const GAP_PX = 8;
const EM_PX = 16;
const SCALE_MIN = 0.85; // smaller labels are not read any more
const SCALE_MAX = 1.8;
const SCALE_SCROLLED = 0.95;

// Width and height in em. The compact one has its values in one row.
const DESIGNS = [
  { name: "regular", width: 16, height: 12.25 },
  { name: "compact", width: 13.5, height: 7.75 },
];

export function layOut(nTiles, widthPx, heightPx) {
  for (const design of DESIGNS) {
    const best = bestColumns(design, Math.max(1, nTiles), widthPx, heightPx);
    if (best.scale >= SCALE_MIN) return { ...best, scale: Math.min(best.scale, SCALE_MAX), design: design.name, scrolls: false };
  }
  const compact = DESIGNS.at(-1);
  const tilePx = compact.width * EM_PX * SCALE_SCROLLED;
  const columns = Math.max(1, Math.floor((widthPx + GAP_PX) / (tilePx + GAP_PX)));
  return { columns, scale: SCALE_SCROLLED, design: compact.name, scrolls: true };
}

function bestColumns(design, nTiles, widthPx, heightPx) {
  let best = { columns: 1, scale: 0 };
  for (let columns = 1; columns <= nTiles; columns += 1) {
    const rows = Math.ceil(nTiles / columns);
    const across = (widthPx - GAP_PX * (columns - 1)) / columns / (design.width * EM_PX);
    const down = (heightPx - GAP_PX * (rows - 1)) / rows / (design.height * EM_PX);
    const scale = Math.min(across, down);
    if (scale > best.scale) best = { columns, scale };
  }
  return best;
}
