// The dialog in which somebody says something of what lies between two marks.

import { timeWords } from "./timeline.js";
import { element, setText } from "./words.js";

const SEND_MS = 15_000;
const TEXT_CHARS_MAX = 500;
const QUICK = ["artefact", "movement", "lead off", "noise", "normal", "atrial fibrillation"];
const ALL = "all signals";

// subject: whose; marks: two instants; channels: those that are shown.
export function openAnnotate({ subject, marks, channels }) {
  const [fromMs, untilMs] = [...marks].sort((a, b) => a - b);
  const dialog = element("dialog", "ruler annotate");
  dialog.setAttribute("aria-label", "Label");
  const text = element("textarea", "annotate-text");
  Object.assign(text, { rows: 2, maxLength: TEXT_CHARS_MAX, required: true });
  text.setAttribute("aria-label", "What is it?");
  const quick = element("div", "ruler-actions");
  for (const word of QUICK) quick.append(button(word, () => { text.value = word; }));
  const moment = select("Of which time", [["interval", `${timeWords(fromMs)}, ${((untilMs - fromMs) / 1000).toFixed(2)} s`], ["moment", `the moment of the first mark`]]);
  const of = select("Of which signal", [["", ALL], ...channels.map((one, i) => [String(i), `${one.label} (${one.device})`])]);
  const said = element("output", "ruler-said");
  const keep = button("Keep", send);
  const cancel = button("Cancel", () => dialog.close());
  const actions = element("div", "ruler-actions");
  actions.append(keep, cancel);
  dialog.append(element("h2", "", "Label"), quick, text, moment.label, of.label, said, actions);
  // What is written here is no command of the page.
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  text.focus();

  async function send() {
    const words = text.value.replace(/\s+/g, " ").trim();
    if (words === "") {
      setText(said, "Say what it is, or choose one of the words above.");
      return;
    }
    keep.disabled = true;
    const channel = channels[of.node.value];
    const refusal = await tell({
      subject,
      t_ms: fromMs,
      until_ms: moment.node.value === "interval" ? untilMs : null,
      text: words,
      device: channel?.device ?? null,
      channel: channel?.channel ?? null,
    });
    keep.disabled = false;
    if (refusal === null) dialog.close();
    else setText(said, refusal);
  }
}

// Returns why it was not kept, in words, or null: it was.
async function tell(annotation) {
  try {
    const answer = await fetch("api/annotations", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(annotation),
      signal: AbortSignal.timeout(SEND_MS),
    });
    if (answer.status === 201) return null;
    return `Not kept: ${(await answer.text()).slice(0, 200)}`;
  } catch {
    return "Nobody knows whether it was kept: the server does not answer. Look before you try again.";
  }
}

function button(words, act) {
  const node = element("button", "", words);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

function select(name, rows) {
  const label = element("label", "annotate-choice", `${name} `);
  const node = element("select");
  for (const [value, words] of rows) {
    const option = element("option", "", words);
    option.value = value;
    node.append(option);
  }
  label.append(node);
  return { label, node };
}
