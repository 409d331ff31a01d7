// Which subjects there are, asked every few seconds: the chooser of the bedside view.

import { durationWords, element } from "./words.js";

const SUBJECTS_MS = 4000;

export class SubjectList {
  #select;
  #onRows;
  rows = null; // null until the server has answered

  // onRows is called with each answer; onChoose when somebody chooses.
  constructor(select, { onRows, onChoose }) {
    this.#select = select;
    this.#onRows = onRows;
    select.addEventListener("change", () => onChoose(select.value));
    this.#ask();
  }

  // Show who is chosen, even if the server has not heard of them yet.
  show(subject) {
    const rows = [...(this.rows ?? [])];
    if (subject !== null && !rows.some((row) => row.subject === subject)) rows.unshift({ subject, heard_s: null });
    const options = rows.map((row) => {
      const option = element("option", "", optionText(row));
      option.value = row.subject;
      return option;
    });
    const old = this.#select.options;
    const isNew = options.length !== old.length || options.some((option, i) => option.textContent !== old[i].textContent);
    if (isNew) this.#select.replaceChildren(...options);
    if (subject !== null) this.#select.value = subject;
  }

  // The one so many places further on, round the end; null where there is no other.
  beside(subject, step) {
    const names = (this.rows ?? []).map((row) => row.subject);
    const i = names.indexOf(subject);
    if (i < 0 || names.length < 2) return null;
    return names[(i + step + names.length) % names.length];
  }

  async #ask() {
    try {
      const answer = await fetch("api/subjects", { signal: AbortSignal.timeout(SUBJECTS_MS) });
      this.rows = await answer.json();
      this.#onRows(this.rows);
    } catch {
      // The banner says that the server is away; the list stays as it was.
    }
    setTimeout(() => this.#ask(), SUBJECTS_MS);
  }
}

function optionText(row) {
  if (row.heard_s === null) return row.subject;
  // In coarse steps, or the open list would change under the reader's hand.
  return row.heard_s < 60 ? row.subject : `${row.subject} (silent ${durationWords(row.heard_s)})`;
}
