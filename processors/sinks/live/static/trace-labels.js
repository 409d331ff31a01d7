// What stands beside a trace: its name, its gain, its quality, and the mark of its scale – of an ECG
// the calibration pulse of 1 mV and 200 ms, as a recorder draws it.

import { stepBelow } from "./scale.js";
import { element, numberWords, setText, unitWords } from "./words.js";

const SPACE = "http://www.w3.org/2000/svg";
const PULSE_S = 0.2;
const FOOT_MM = 1;

export class TraceLabels {
  #label = element("span", "trace-label");
  #device = element("span", "trace-device");
  #paper = element("span", "trace-paper");
  #quality = element("meter", "trace-quality");
  #mark = element("span", "trace-mark");
  #bar = element("span", "trace-bar");
  #pulse = document.createElementNS(SPACE, "svg");
  #path = document.createElementNS(SPACE, "path");
  #note = element("p", "trace-note");
  canvas = element("canvas");
  node = element("article", "trace");

  constructor() {
    this.node.setAttribute("role", "img");
    Object.assign(this.#quality, { min: 0, max: 1, low: 0.5, high: 0.7, optimum: 1, hidden: true });
    this.#quality.setAttribute("aria-label", "signal quality");
    this.#pulse.setAttribute("class", "trace-pulse");
    this.#pulse.setAttribute("aria-hidden", "true");
    this.#pulse.append(this.#path);
    this.#note.hidden = true;
    const head = element("div", "trace-head");
    head.append(this.#label, this.#device, this.#paper, this.#quality);
    const side = element("div", "trace-scale");
    side.append(this.#mark, this.#bar, this.#pulse);
    this.node.append(head, side, this.canvas, this.#note);
  }

  describe(channel) {
    setText(this.#label, channel.label);
    setText(this.#device, channel.device);
    this.#device.title = channel.device;
    this.node.dataset.kind = channel.kind;
    this.node.setAttribute("aria-label", `${channel.label} of ${channel.device}, moving waveform`);
  }

  setQuality(quality) {
    this.#quality.value = quality;
    this.#quality.hidden = false;
    this.#quality.title = `signal quality ${Math.round(quality * 100)} %`;
  }

  // null: all is well.
  setNote(text) {
    this.node.classList.toggle("is-silent", text !== null);
    this.#note.hidden = text === null;
    if (text !== null) setText(this.#note, text);
  }

  showScale({ scale, unit, channel, isOnPaper }, paper, cssHeight) {
    const isKnown = scale.span > 0;
    const isPleth = channel.kind === "pleth";
    this.#pulse.toggleAttribute("hidden", !isKnown || !isOnPaper);
    this.#bar.hidden = !isKnown || isOnPaper || isPleth;
    this.#mark.hidden = !isKnown;
    setText(this.#paper, paperWords(isOnPaper ? scale : null, channel.kind, paper));
    this.#paper.classList.toggle("is-cut", isOnPaper && scale.isCut);
    if (!isKnown) return;
    if (isOnPaper) {
      setText(this.#mark, "1 mV");
      this.#drawPulse(scale.gain * paper.pxPerMm, PULSE_S * paper.speed * paper.pxPerMm, FOOT_MM * paper.pxPerMm);
      return;
    }
    const value = stepBelow(scale.span * 0.5);
    this.#bar.style.height = `${(value / scale.span) * cssHeight}px`;
    setText(this.#mark, isPleth ? "not to scale" : `${numberWords(value)} ${unitWords(unit)}`);
  }

  #drawPulse(high, wide, foot) {
    this.#pulse.setAttribute("width", wide + 2 * foot);
    this.#pulse.setAttribute("height", high + 2);
    this.#path.setAttribute("d", `M0 ${high + 1}h${foot}v${-high}h${wide}v${high}h${foot}`);
  }
}

function paperWords(scale, kind, paper) {
  const speed = paper.speedOf(kind) === paper.speed ? "" : `${paper.speedOf(kind)} mm/s`;
  if (scale === null || scale.gain === 0) return speed;
  return `${scale.gain} mm/mV${scale.isCut ? " · cut off" : ""}`;
}
