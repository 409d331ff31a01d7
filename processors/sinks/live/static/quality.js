// How far one waveform can be believed, second by second, and how that is drawn: behind a signal
// that no number would be taken from, a tint, a broken line below it and words.

const SECONDS = 1024; // kept: more than the samples are
const POOR = 0.5; // numbers of less are not shown either
const FAIR = 0.7;
const TINT = "rgba(255, 194, 74, 0.11)";
const RULE = "#ffc24a";
const WORDS = "poor signal";

// 0: good or not known, 1: fair, 2: poor.
function levelOf(quality) {
  if (quality >= FAIR) return 0;
  return quality >= POOR ? 1 : 2;
}

export class QualityTrack {
  #seconds = new Float64Array(SECONDS).fill(-1); // which second stands in a place
  #levels = new Uint8Array(SECONDS);

  // The quality of the second that ends at tMs. Returns whether there is something to draw.
  add(tMs, quality) {
    const second = Math.ceil(tMs / 1000) - 1;
    const before = this.#levelAt(second);
    this.#seconds[second % SECONDS] = second;
    this.#levels[second % SECONDS] = levelOf(quality);
    return this.#levelAt(second) !== before;
  }

  touches(fromMs, toMs) {
    for (let second = Math.floor(fromMs / 1000); second * 1000 < toMs; second += 1) {
      if (this.#levelAt(second) > 0) return true;
    }
    return false;
  }

  // Draw what falls into a stretch; the caller has clipped the pen to it.
  draw(view, axis, fromMs, toMs) {
    let before = 0;
    for (let second = Math.floor(fromMs / 1000); second * 1000 < toMs; second += 1) {
      const level = this.#levelAt(second);
      if (level > 0) axis.stretch(second * 1000, (second + 1) * 1000, (x0, x1) => band(view, x0, x1, level));
      if (level === 2 && before !== 2) this.#word(view, axis, second);
      before = level;
    }
  }

  // The words begin where the bad stretch does, and are drawn piece by piece as it goes on.
  #word({ pen, height, foot, ratio }, axis, second) {
    const first = Math.ceil(axis.startOf(axis.turnOf(second * 1000)) / 1000);
    let begin = second;
    while (begin > first && this.#levelAt(begin - 1) === 2) begin -= 1;
    pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    pen.textAlign = "left";
    pen.textBaseline = "alphabetic";
    pen.fillStyle = RULE;
    pen.fillText(WORDS, axis.x(begin * 1000) + 5 * ratio, height - foot - 7 * ratio);
  }

  #levelAt(second) {
    return this.#seconds[second % SECONDS] === second ? this.#levels[second % SECONDS] : 0;
  }
}

function band({ pen, height, foot, ratio }, x0, x1, level) {
  if (level === 2) {
    pen.fillStyle = TINT;
    pen.fillRect(x0, 0, x1 - x0, height);
  }
  const [on, off] = level === 2 ? [8 * ratio, 4 * ratio] : [2 * ratio, 6 * ratio];
  const high = (level === 2 ? 3 : 2) * ratio;
  pen.fillStyle = RULE;
  for (let x = Math.floor(x0 / (on + off)) * (on + off); x < x1; x += on + off) {
    const left = Math.max(x, x0);
    pen.fillRect(left, height - foot - high, Math.max(0, Math.min(x + on, x1) - left), high);
  }
}
