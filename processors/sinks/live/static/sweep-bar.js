// Below the traces: freeze and what is done with a frozen picture, speeds, gain, the ruler.

import { GAINS, SPEEDS } from "./paper.js";
import { openRuler } from "./ruler.js";
import { timeWords } from "./timeline.js";
import { element, setText } from "./words.js";

export class SweepBar {
  #freezeButton = button("sweep-freeze", "Freeze", "Freeze the traces (F or space)");
  #said = element("p", "frozen-note");
  #tools = element("div", "sweep-tools");
  #caliper = button("", "Caliper", "Measure between two marks (C)");
  #marks = [mark("A"), mark("B")];
  #label = button("sweep-label", "Label", "Say something of what lies between the marks (L)");
  #measured = element("output", "sweep-measured");
  #choices;
  node = element("div", "sweep-bar");

  constructor(paper, freeze) {
    this.#choices = [
      choice("Speed", SPEEDS, "mm/s", () => paper.speed, (speed) => paper.set({ speed })),
      choice("Breathing", SPEEDS, "mm/s", () => paper.breathSpeed, (breathSpeed) => paper.set({ breathSpeed })),
      choice("ECG", GAINS, "mm/mV", () => paper.gain, (gain) => paper.set({ gain })),
    ];
    const back = button("", "◀", "Back (arrow left; with shift a whole picture)");
    const on = button("", "▶", "Forward (arrow right; with shift a whole picture)");
    const ruler = button("sweep-ruler", "Screen size", "Measure this screen, so that a millimetre is one");
    this.#freezeButton.setAttribute("aria-pressed", "false");
    this.#freezeButton.addEventListener("click", () => freeze.toggle());
    back.addEventListener("click", () => freeze.scrollBy(-1000));
    on.addEventListener("click", () => freeze.scrollBy(1000));
    this.#label.addEventListener("click", () => freeze.annotate());
    this.#caliper.addEventListener("click", () => freeze.toggleCaliper());
    ruler.addEventListener("click", () => openRuler(paper));
    this.#tools.append(back, on, this.#caliper, ...this.#marks, this.#measured, this.#label);
    const settings = element("div", "sweep-choices");
    settings.append(...this.#choices.map(({ node }) => node), ruler);
    const main = element("div", "sweep-main");
    main.append(this.#freezeButton, this.#tools);
    this.node.append(main, settings);
    this.overlay = element("div", "frozen-overlay");
    this.overlay.append(element("p", "frozen-word", "FROZEN"), this.#said);
    this.overlay.hidden = true;
    paper.onChange(() => this.#choices.forEach(({ show }) => show()));
    freeze.showIn(this);
  }

  showFreeze({ isFrozen, time, marks, measured, ending }) {
    this.#freezeButton.setAttribute("aria-pressed", String(isFrozen));
    setText(this.#freezeButton, isFrozen ? "Back to live" : "Freeze");
    this.overlay.hidden = this.#tools.hidden = !isFrozen;
    setText(this.#said, `Picture of ${time} · numbers are live${ending && ` · ${ending}`}`);
    this.#caliper.setAttribute("aria-pressed", String(marks !== null));
    this.#measured.hidden = marks === null;
    setText(this.#measured, measured);
    this.#marks.forEach((node, i) => {
      node.hidden = marks === null;
      if (marks === null) return;
      node.setAttribute("aria-valuenow", String(Math.round(marks[i])));
      node.setAttribute("aria-valuetext", `${timeWords(marks[i])}, ${measured} between the marks`);
    });
  }
}

function button(className, text, title) {
  const node = element("button", className, text);
  node.type = "button";
  node.title = title;
  if (text.length === 1) node.setAttribute("aria-label", title);
  return node;
}

function mark(name) {
  const node = button("sweep-mark", name, `Mark ${name}: arrow keys move it`);
  node.setAttribute("role", "slider");
  node.dataset.mark = name === "A" ? "0" : "1";
  return node;
}

function choice(name, values, unit, get, set) {
  const node = element("label", "sweep-choice");
  const select = element("select");
  select.setAttribute("aria-label", `${name}, ${unit}`);
  for (const value of values) {
    const option = element("option", "", typeof value === "number" ? `${value} ${unit}` : value);
    option.value = String(value);
    select.append(option);
  }
  const show = () => { select.value = String(get()); };
  select.addEventListener("change", () => set(values.find((value) => String(value) === select.value)));
  node.append(element("span", "", name), select);
  show();
  return { node, show };
}
