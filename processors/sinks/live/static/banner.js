// The one line that says whether the picture is true.

import { durationWords } from "./words.js";

const SILENT_MS = 3000; // three heartbeats
const NO_DATA_MS = 3000;
const NO_READING_MS = 15_000; // of a subject without waveforms: readings come seldom
const DELAYED_MS = 8000;

const WORKER_STATES = { starting: "Worker starting", waiting: "Worker waiting for its share of the work" };
const STORE_STATES = { sink: "The process that stores is silent" };

// What the server says of the system behind it; system_state.py says what each means.
const CONDITIONS = {
  broker_away: { level: "bad", silence: true, words: (age) => `Message broker away for ${age}: nothing new arrives, no value is current.` },
  no_worker: { level: "bad", words: (age, detail) => `${WORKER_STATES[detail] ?? "Worker stopped"} for ${age}: numbers are not being computed. Waveforms are live.` },
  agent_silent: { level: "bad", silence: true, state: "no-data", words: (age, detail) => `No data from the sensor for ${age}: the agent at the bedside, ${detail}, is silent.` },
  sensor_lost: { level: "warn", silence: true, words: (age, detail) => `Sensor lost for ${age}: ${detail}.` },
  sensor_silent: { level: "warn", silence: true, words: (age, detail) => `No data from the sensor for ${age}: ${detail} is connected and sends nothing.` },
  worker_behind: { level: "warn", words: (_age, detail) => `Worker behind: numbers are about ${detail} s late. Waveforms are live.` },
  database_away: { level: "warn", words: (age, detail) => `${STORE_STATES[detail] ?? "Database away"} for ${age}: nothing is being stored. This page is live.` },
};

// Returns {state, level, text}. The first thing that is wrong is the one that is said in full.
export function judgeBanner(view) {
  const own = judgeOwn(view);
  if (own !== null) return own;
  const found = view.conditions.filter(({ kind }) => kind in CONDITIONS);
  const silence = judgeSilence(view);
  // What is said first must not say that something lives that does not.
  if (silence !== null && !found.some(({ kind }) => CONDITIONS[kind].silence)) {
    return { ...silence, text: `${silence.text}${alsoWords(found)}` };
  }
  if (silence !== null) found.sort((a, b) => (CONDITIONS[b.kind].silence ?? false) - (CONDITIONS[a.kind].silence ?? false));
  if (found.length > 0) return judgeCondition(found, view.serverNowMs, silence);
  if (view.replayOf !== null) return { state: "replay", level: "none", text: `Replay of ${new Date(view.replayOf).toLocaleString()}` };
  if (view.lagMs > DELAYED_MS) return { state: "delayed", level: "warn", text: `Delayed – shown ${durationWords(view.lagMs / 1000)} late` };
  return { state: "live", level: "none", text: "Live" };
}

// What the page knows by itself, whatever the server said last.
function judgeOwn(view) {
  if (view.subject === null) return { state: "waiting", level: "none", text: "Waiting for a first subject" };
  if (view.connection === "connecting") return { state: "connecting", level: "none", text: "Connecting…" };
  if (view.connection === "lost") {
    return { state: "lost", level: "bad", text: `Connection to the server lost – next attempt ${inSeconds(view.retryInMs)}` };
  }
  if (view.outdated) return { state: "lost", level: "bad", text: "The server was updated – reload this page" };
  if (view.heartbeatAgeMs > SILENT_MS) {
    return { state: "silent", level: "bad", text: `Server silent for ${durationWords(view.heartbeatAgeMs / 1000)}` };
  }
  return null;
}

function judgeSilence({ heardAgeMs, hasWaveforms }) {
  if (heardAgeMs === null) return { state: "no-data", level: "bad", text: "No data from the sensor yet" };
  if (heardAgeMs <= (hasWaveforms ? NO_DATA_MS : NO_READING_MS)) return null;
  return { state: "no-data", level: "bad", text: `No data from the sensor for ${durationWords(heardAgeMs / 1000)}` };
}

function judgeCondition([first, ...others], serverNowMs, silence) {
  const { level, state, words } = CONDITIONS[first.kind];
  const age = durationWords((serverNowMs - first.since_ms) / 1000);
  return {
    state: state ?? first.kind.replaceAll("_", "-"),
    level: silence === null ? level : "bad",
    text: `${words(age, first.detail)}${alsoWords(others)}`,
  };
}

function alsoWords(conditions) {
  const kinds = new Set(conditions.map(({ kind }) => kind.replaceAll("_", " ")));
  return kinds.size === 0 ? "" : ` Also: ${[...kinds].join(", ")}.`;
}

function inSeconds(ms) {
  return ms < 1000 ? "now" : `in ${Math.ceil(ms / 1000)} s`;
}
