// What the keys do, and the table that says so.

import { element } from "./words.js";

export class Keys {
  #bindings = new Map(); // key to {run, isFor}
  #table;
  #dialog;

  constructor(dialog, table, button) {
    this.#dialog = dialog;
    this.#table = table;
    button.addEventListener("click", () => this.help());
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  // keys: the names that an event gives; where: a heading of the table; isFor: whether it is for now.
  add(where, keys, words, run, isFor = () => true) {
    for (const key of keys) this.#bindings.set(key, { run, isFor });
    this.describe(where, keys, words);
  }

  // A key that somebody else listens to.
  describe(where, keys, words) {
    let list = [...this.#table.children].find((node) => node.dataset.where === where);
    if (list === undefined) {
      list = element("section", "keys-group");
      list.dataset.where = where;
      list.append(element("h3", "", where), element("dl"));
      this.#table.append(list);
    }
    const term = element("dt");
    keys.forEach((key, i) => term.append(...(i > 0 ? [" "] : []), element("kbd", "", NAMES[key] ?? key)));
    list.querySelector("dl").append(term, element("dd", "", words));
  }

  help() {
    if (this.#dialog.open) this.#dialog.close();
    else this.#dialog.showModal();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (this.#dialog.open && event.key !== "?") return;
    // What is being written is no command, but Esc.
    if (event.target.closest?.("input[type=search], select, textarea") && event.key !== "Escape") return;
    const binding = this.#bindings.get(event.key);
    if (binding === undefined || !binding.isFor()) return;
    event.preventDefault();
    binding.run(event);
  }
}

const NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", " ": "Space" };
