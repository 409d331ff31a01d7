// The strip of devices, and the technical alarms.

import { durationWords, element, readable, setText } from "./words.js";

const SILENT_MS = 3000;

const MARKS = { high: "!!!", medium: "!!", low: "!" };

export class DeviceStrip {
  #root;
  #chips = new Map();

  constructor(root) {
    this.#root = root;
  }

  clear() {
    this.#chips.clear();
    this.#root.replaceChildren();
  }

  show(device) {
    let chip = this.#chips.get(device.device)?.node;
    if (chip === undefined) {
      chip = element("li", "device");
      this.#root.append(chip);
    }
    chip.title = device.detail;
    const battery = device.battery_percent === null ? "" : `${Math.round(device.battery_percent)} %`;
    const mark = element("span", "device-mark");
    mark.setAttribute("aria-hidden", "true");
    const state = element("span", "device-state");
    chip.replaceChildren(mark, element("span", "device-name", device.device), state);
    if (battery) chip.append(batteryNode(device, battery));
    this.#chips.set(device.device, { node: chip, state, device });
    this.judge(0, new Map());
  }

  // A link that is up and brings nothing is not well. heardMs: device to its last samples.
  judge(nowMs, heardMs) {
    for (const [name, { node, state, device }] of this.#chips) {
      const silentMs = heardMs.has(name) ? nowMs - heardMs.get(name) : 0;
      const isQuiet = device.connected === true && silentMs >= SILENT_MS;
      node.dataset.link = isQuiet ? "quiet" : linkOf(device);
      setText(state, isQuiet ? `no data for ${durationWords(silentMs / 1000)}` : stateWords(device));
    }
  }
}

function linkOf(device) {
  if (device.connected === null) return "unknown";
  return device.connected ? "up" : "down";
}

function stateWords(device) {
  if (device.connected === false) return "link lost";
  if (device.event === "stream_refused") return "stream refused";
  if (device.contact === false) return "no skin contact";
  return device.connected ? "connected" : "waiting";
}

function batteryNode(device, text) {
  const isLow = device.battery_low || device.battery_percent < 20;
  const node = element("span", isLow ? "device-battery is-low" : "device-battery");
  const cell = element("span", "cell");
  const fill = element("span", "cell-fill");
  fill.style.width = `${Math.max(0, Math.min(100, device.battery_percent))}%`;
  cell.append(fill);
  node.append(cell, element("span", "", text));
  node.setAttribute("aria-label", `battery ${text}${isLow ? ", low" : ""}`);
  return node;
}

export class AlarmList {
  #root;
  #active = new Map();

  constructor(root) {
    this.#root = root;
  }

  clear() {
    this.#active.clear();
    this.#root.replaceChildren();
  }

  show(alarm) {
    if (alarm.active) this.#active.set(alarm.name, alarm);
    else this.#active.delete(alarm.name);
    const order = Object.keys(MARKS);
    const sorted = [...this.#active.values()].sort((a, b) => order.indexOf(a.priority) - order.indexOf(b.priority));
    this.#root.replaceChildren(...sorted.map(alarmNode));
  }
}

function alarmNode(alarm) {
  const node = element("li", "alarm");
  node.dataset.priority = alarm.priority;
  const mark = element("span", "alarm-mark", MARKS[alarm.priority] ?? "!");
  mark.setAttribute("aria-label", `${alarm.priority} priority`);
  node.append(mark, element("span", "alarm-name", readable(alarm.name)), element("span", "alarm-detail", alarm.detail));
  return node;
}
