// The dialog in which somebody holds a ruler to the screen: how many pixels are a millimetre.

import { PX_PER_MM, PX_PER_MM_MAX, PX_PER_MM_MIN } from "./paper.js";
import { element, setText } from "./words.js";

const BAR_MM = 50;
const STEP_PX = 0.01;

export function openRuler(paper) {
  const dialog = element("dialog", "ruler");
  const bar = element("div", "ruler-bar");
  const slider = element("input");
  const said = element("output", "ruler-said");
  const widestMm = Math.min(PX_PER_MM_MAX, (document.documentElement.clientWidth - 64) / BAR_MM);
  Object.assign(slider, { type: "range", min: PX_PER_MM_MIN, max: widestMm, step: STEP_PX, value: paper.pxPerMm });
  slider.setAttribute("aria-label", "Pixels per millimetre");
  const show = () => {
    bar.style.width = `${BAR_MM * Number(slider.value)}px`;
    setText(said, `${Number(slider.value).toFixed(2)} pixels are a millimetre`);
  };
  slider.addEventListener("input", show);
  const keep = action("Keep", () => paper.set({ pxPerMm: Number(slider.value), isMeasured: true }));
  const reset = action("Not measured", () => paper.set({ pxPerMm: PX_PER_MM, isMeasured: false }));
  const leave = action("Cancel", () => {});
  dialog.append(
    element("h2", "", "How large is this screen?"),
    element("p", "", `Hold a ruler to the screen and move the slider until the bar is ${BAR_MM} mm long. The browser remembers it for this screen.`),
    bar, slider, said, actions(keep, leave, reset),
  );
  dialog.addEventListener("close", () => dialog.remove());
  for (const node of [keep, leave, reset]) node.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  show();
  dialog.showModal();
}

function action(text, act) {
  const node = element("button", "", text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

function actions(...nodes) {
  const row = element("div", "ruler-actions");
  row.append(...nodes);
  return row;
}
