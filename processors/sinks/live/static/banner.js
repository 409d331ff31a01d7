// The one line that says whether the picture is true.

import { durationWords } from "./words.js";

const SILENT_MS = 3000; // three heartbeats
const NO_DATA_MS = 3000;
const NO_READING_MS = 15_000; // of a subject without waveforms: readings come seldom
const DELAYED_MS = 8000;

// Returns {state, text}. The first thing that is wrong is the one that is said.
export function judgeBanner(view) {
  if (view.subject === null) return { state: "waiting", text: "Waiting for a first subject" };
  if (view.connection === "connecting") return { state: "connecting", text: "Connecting…" };
  if (view.connection === "lost") {
    return { state: "lost", text: `Connection to the server lost – next attempt ${inSeconds(view.retryInMs)}` };
  }
  if (view.outdated) return { state: "lost", text: "The server was updated – reload this page" };
  if (view.heartbeatAgeMs > SILENT_MS) {
    return { state: "silent", text: `Server silent for ${durationWords(view.heartbeatAgeMs / 1000)}` };
  }
  if (view.heardAgeMs === null) return { state: "no-data", text: "No data from the sensor yet" };
  if (view.heardAgeMs > (view.hasWaveforms ? NO_DATA_MS : NO_READING_MS)) {
    return { state: "no-data", text: `No data from the sensor for ${durationWords(view.heardAgeMs / 1000)}` };
  }
  if (view.replayOf !== null) return { state: "replay", text: `Replay of ${new Date(view.replayOf).toLocaleString()}` };
  if (view.lagMs > DELAYED_MS) return { state: "delayed", text: `Delayed – shown ${durationWords(view.lagMs / 1000)} late` };
  return { state: "live", text: "Live" };
}

function inSeconds(ms) {
  return ms < 1000 ? "now" : `in ${Math.ceil(ms / 1000)} s`;
}
