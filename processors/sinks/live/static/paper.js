// The paper that traces are drawn on: how many pixels of this screen are a millimetre, the speeds,
// the gain of an ECG. The browser remembers it.

const KEY = "chevet.paper";
export const PX_PER_MM = 96 / 25.4; // what CSS takes for a millimetre, until somebody has measured
export const PX_PER_MM_MIN = 1.5;
export const PX_PER_MM_MAX = 15;
export const SPEEDS = [12.5, 25, 50]; // mm/s
export const GAINS = ["auto", 5, 10, 20]; // mm/mV

const CHOICES = {
  pxPerMm: (value) => typeof value === "number" && value >= PX_PER_MM_MIN && value <= PX_PER_MM_MAX,
  isMeasured: (value) => typeof value === "boolean",
  speed: (value) => SPEEDS.includes(value),
  breathSpeed: (value) => SPEEDS.includes(value),
  gain: (value) => GAINS.includes(value),
};

export class Paper {
  pxPerMm = PX_PER_MM;
  isMeasured = false;
  speed = 25;
  breathSpeed = 12.5;
  gain = "auto";
  #listeners = [];

  constructor() {
    this.#take(read());
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  set(changes) {
    this.#take(changes);
    write(Object.fromEntries(Object.keys(CHOICES).map((name) => [name, this[name]])));
    for (const listener of this.#listeners) listener();
  }

  speedOf(kind) {
    return kind === "respiration" ? this.breathSpeed : this.speed;
  }

  // Milliseconds that a width of so many CSS pixels shows.
  spanMs(kind, cssWidth) {
    return (1000 * cssWidth) / (this.pxPerMm * this.speedOf(kind));
  }

  // What another version has kept, or a hand has spoilt, is left out.
  #take(changes) {
    for (const [name, value] of Object.entries(changes)) if (CHOICES[name]?.(value)) this[name] = value;
  }
}

// A browser may keep nothing: then the settings last as long as the page.
function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

function write(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Full, or forbidden.
  }
}
