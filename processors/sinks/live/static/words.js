// Codes into words. What is in no table is shown as it came, readable.

const REASONS = {
  warming_up: "warming up",
  no_samples: "samples missing",
  lead_off: "sensor or electrode off",
  saturated: "signal overloaded",
  poor_signal: "signal too disturbed",
  too_few_beats: "counting beats",
  no_contact: "no skin contact",
  inadequate_signal: "signal too weak",
  sensor_unavailable: "sensor unavailable",
  invalid: "not valid, says the device",
  not_a_number: "no value from the device",
  asystole_suspected: "no beats found – check the patient",
  moving: "moving",
  low_perfusion: "pulse wave too weak",
  pulse_deficit_suspected: "every second pulse may be missing",
  not_calibrated: "device not calibrated",
  irregular: "rhythm too irregular",
  ectopy: "too many ectopic beats",
  apnoea_suspected: "no breaths found – check the patient",
  sources_disagree: "sources disagree",
};
const CAUSES = {
  radio_loss: "radio loss",
  link_lost: "link lost",
  agent_down: "agent was down",
  undecodable: "unreadable data",
  overflow: "overflow",
  spool_full: "spool full",
  spool_age: "kept too long",
  spool_damaged: "spool damaged",
  not_received: "not received",
};
const UNITS = {
  "1": "rel.", "/min": "/min", "[g]": "g", "Cel": "°C", "Ohm": "Ω", "uV": "µV", "deg/s": "°/s", "m/s2": "m/s²",
};

export function readable(code) {
  return code.replaceAll("_", " ");
}

export function reasonWords(reason) {
  return REASONS[reason] ?? readable(reason);
}

export function causeWords(cause) {
  return CAUSES[cause] ?? readable(cause);
}

export function unitWords(ucum) {
  // UCUM puts what is no unit into braces.
  return UNITS[ucum] ?? (/^\{.*\}$/.test(ucum) ? UNITS["1"] : ucum);
}

export function durationWords(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  // The space does not break: "8" on one line and "s" on the next says nothing.
  if (s < 100) return `${s}\u00a0s`;
  if (s < 6000) return `${Math.floor(s / 60)}\u00a0min`;
  if (s < 172_800) return `${Math.floor(s / 3600)}\u00a0h`;
  return `${Math.floor(s / 86_400)}\u00a0d`;
}

export function numberWords(value) {
  if (Math.abs(value) >= 10_000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}

export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// Writing the same text again would cost a layout.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
