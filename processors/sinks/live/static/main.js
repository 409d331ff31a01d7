// The page: one subject, one connection, two beats – a frame for the sweep, a quarter of a second
// for everything that is read.

import { Alive } from "./alive.js";
import { judgeBanner } from "./banner.js";
import { PlayClock, ServerClock, pageNowMs } from "./clocks.js";
import { Connection } from "./connection.js";
import { AlarmList, DeviceStrip } from "./devices.js";
import { NumeralBoard } from "./numerals.js";
import { PROTOCOL_VERSION, decodeSamples } from "./protocol.js";
import { FrameRate, Percentiles } from "./stats.js";
import { TraceBoard } from "./traces.js";
import { durationWords, element, setText } from "./words.js";

const JUDGE_MS = 250;
const SUBJECTS_MS = 4000;
const REPLAY_MS = 600_000; // samples older than this that no radio received are a replay
const RESTART_MS = 10_000; // a server silent for so long is called again
const BEATS_MAX = 32;
const QUALITIES = new Set(["signal_quality", "pulse_quality", "respiration_quality"]); // of a trace

const find = (id) => document.getElementById(id);
const alive = new Alive(find("stopped"));
const serverClock = new ServerClock();
const playClock = new PlayClock();
const traces = new TraceBoard(find("traces"), find("traces-empty"), find("sweep-note"));
const numerals = new NumeralBoard(find("numerals"));
const devices = new DeviceStrip(find("devices"));
const alarms = new AlarmList(find("alarms"));
const arrival = new Percentiles(); // radio to page
const glass = new Percentiles(); // radio to screen
const frameRate = new FrameRate();

let connection = null;
let subject = null;
let heartbeatAtMs = 0; // page's clock
let heardMs = null; // server's clock, when a frame of the subject came
let conditions = []; // what of the system behind the server is dead or silent
let judgedAtMs = 0; // page's clock
let isReplay = false;
let isOutdated = false;
let nDropped = 0;
let nMessages = 0;
let nConnections = 0;
let beats = [];
let banner = { state: "connecting", text: "" };

const ON_TEXT = {
  hello(message) {
    isOutdated = message.protocol !== PROTOCOL_VERSION;
    nConnections += 1;
    conditions = [];
    traces.forgetIds();
    alarms.clear();
    devices.clear();
    noteHeartbeat(message);
  },
  heartbeat: noteHeartbeat,
  system(message) {
    conditions = message.conditions;
  },
  channel: (message) => traces.addChannel(message),
  numeral(message) {
    if (QUALITIES.has(message.name)) traces.setQuality(message);
    else numerals.add(message, pageNowMs() - waitedMs(message));
  },
  beat(message) {
    traces.addBeat(message);
    beats.push(message);
    if (beats.length > BEATS_MAX) beats.shift();
  },
  beat_class: (message) => traces.classifyBeat(message),
  gap: (message) => traces.addGap(message),
  device: (message) => devices.show(message),
  alarm: (message) => alarms.show(message),
  dropped(message) {
    nDropped = message.n_messages;
  },
};

function onText(message) {
  nMessages += 1;
  ON_TEXT[message.type]?.(message);
}

function onBinary(buffer) {
  nMessages += 1;
  const samples = decodeSamples(buffer);
  const nowMs = serverClock.nowMs();
  const trace = traces.addSamples(samples, pageNowMs());
  if (trace === null) return;
  const lastMs = samples.t0Ms + (samples.counts.length - 1) * trace.periodMs;
  if (samples.history) {
    playClock.observeHistory(lastMs, nowMs);
    return;
  }
  heardMs = nowMs;
  isReplay = samples.receivedMs === null && Math.abs(nowMs - lastMs) > REPLAY_MS;
  playClock.observe(samples.t0Ms, lastMs, nowMs);
  if (samples.receivedMs !== null) arrival.add(nowMs - samples.receivedMs);
}

// How long ago the server was told: what it kept for a page that opens is as old as it is.
function waitedMs({ heard_ms: heardAtMs }) {
  return heardAtMs === null ? 0 : Math.max(0, serverClock.nowMs() - heardAtMs);
}

function noteHeartbeat(message) {
  const nowMs = pageNowMs();
  heartbeatAtMs = nowMs;
  serverClock.observe(message.server_ms, nowMs);
  heardMs = message.heard_ms;
}

// The subject's time: the server's clock, or of a replay that of the recording.
function eventNowMs() {
  return serverClock.nowMs() - (isReplay ? playClock.lagMs : 0);
}

function drawFrame(atMs) {
  frameRate.add(atMs);
  // A timer may have been held up for minutes: nothing old is painted before it is judged.
  if (pageNowMs() - judgedAtMs > 2 * JUDGE_MS) judge();
  const nowMs = serverClock.nowMs();
  const { positionMs, jumped } = playClock.advance(nowMs);
  if (positionMs !== null) {
    traces.draw(positionMs, jumped, (receivedMs) => glass.add(nowMs - receivedMs));
    flashBeats(positionMs);
  }
  requestAnimationFrame(drawFrame);
}

// The heart flashes when the sweep is at the beat, or at once if it was told later.
function flashBeats(positionMs) {
  const due = beats.filter((beat) => beat.t_ms <= positionMs);
  if (due.length === 0) return;
  beats = beats.filter((beat) => beat.t_ms > positionMs);
  for (const beat of due) if (positionMs - beat.t_ms < 3000) numerals.beat(beat.source, pageNowMs());
}

function judge() {
  const pageMs = pageNowMs();
  const nowMs = serverClock.nowMs();
  judgedAtMs = pageMs;
  traces.judge(pageMs);
  devices.judge(pageMs, traces.heardMs);
  numerals.judge(eventNowMs(), pageMs);
  if (connection?.state === "open" && pageMs - heartbeatAtMs > RESTART_MS) connection.restart();
  banner = judgeBanner({
    subject,
    connection: connection?.state ?? "connecting",
    retryInMs: connection === null ? 0 : connection.retryAtMs - performance.now(),
    outdated: isOutdated,
    heartbeatAgeMs: pageMs - heartbeatAtMs,
    heardAgeMs: heardMs === null ? null : nowMs - heardMs,
    hasWaveforms: traces.size > 0,
    replayOf: isReplay ? eventNowMs() : null,
    lagMs: playClock.lagMs ?? 0,
    conditions,
    serverNowMs: nowMs,
  });
  find("banner").dataset.state = document.body.dataset.state = banner.state;
  find("banner").dataset.level = banner.level;
  setText(find("banner-text"), banner.text);
  setText(find("clock"), new Date(nowMs).toLocaleTimeString(undefined, { hourCycle: "h23" }));
  setText(find("latency-note"), latencyWords());
  alive.tell(); // last: what fails above has not judged
}

function latencyWords() {
  const { n, p50, p95 } = arrival.read();
  const slow = nDropped > 0 ? ` · ${nDropped} blocks missed, this page was too slow` : "";
  if (n === 0) return slow;
  const shown = glass.read().p50;
  return `radio to page ${Math.round(p50)} ms (95 %: ${Math.round(p95)} ms)${shown === null ? "" : ` · to screen ${Math.round(shown)} ms`}${slow}`;
}

function choose(id) {
  if (id === subject) return;
  connection?.close();
  subject = id;
  traces.clear();
  numerals.clear();
  devices.clear();
  alarms.clear();
  playClock.reset();
  arrival.clear();
  glass.clear();
  beats = [];
  heardMs = null;
  conditions = [];
  isReplay = false;
  nDropped = 0;
  heartbeatAtMs = pageNowMs();
  const url = new URL(location.href);
  url.searchParams.set("subject", id);
  history.replaceState(null, "", url);
  document.title = `${id} – Chevet`;
  connection = new Connection(id, { onText, onBinary });
}

async function listSubjects() {
  try {
    if (connection?.state !== "lost") showSubjects(await fetchSubjects());
  } catch {
    // The banner says that the server is away; the list stays as it was.
  }
  setTimeout(listSubjects, SUBJECTS_MS);
}

async function fetchSubjects() {
  const answer = await fetch("api/subjects", { signal: AbortSignal.timeout(SUBJECTS_MS) });
  return answer.json();
}

function showSubjects(rows) {
  const select = find("subject");
  const wanted = subject ?? new URL(location.href).searchParams.get("subject") ?? rows[0]?.subject ?? null;
  if (wanted !== null && !rows.some((row) => row.subject === wanted)) {
    rows.unshift({ subject: wanted, devices: [], heard_s: null });
  }
  const options = rows.map((row) => {
    const option = element("option", "", optionText(row));
    option.value = row.subject;
    return option;
  });
  const isNew = options.length !== select.options.length
    || options.some((option, i) => option.textContent !== select.options[i].textContent);
  if (isNew) select.replaceChildren(...options);
  if (wanted === null) return;
  select.value = wanted;
  choose(wanted);
}

function optionText(row) {
  if (row.heard_s === null) return row.subject;
  // In coarse steps, or the open list would change under the reader's hand.
  return row.heard_s < 60 ? row.subject : `${row.subject} (silent ${durationWords(row.heard_s)})`;
}

Object.defineProperty(window, "chevet", {
  value: Object.freeze({
    get framesDrawn() { return frameRate.nFrames; },
    get framesPerSecond() { return frameRate.perSecond; },
    get samplesReceived() { return perTrace((trace) => trace.nSamples); },
    get samplesDrawn() { return perTrace((trace) => trace.nDrawn); },
    get gapsSeen() { return perTrace((trace) => trace.nGaps); },
    get strokes() { return perTrace((trace) => trace.strokes); },
    get beatsMarked() { return perTrace((trace) => trace.beatCounts); },
    get sweep() { return traces.state; },
    get frameWorkMs() { return traces.work.read(); },
    get latencyMs() { return arrival.read(); },
    get glassLatencyMs() { return glass.read(); },
    get playDelayMs() { return playClock.delayMs; },
    get messagesReceived() { return nMessages; },
    get messagesDropped() { return nDropped; },
    get connections() { return nConnections; },
    get connection() { return connection?.state ?? "connecting"; },
    get banner() { return { ...banner }; },
    get conditions() { return conditions.map((one) => ({ ...one })); },
    get subject() { return subject; },
    get numerals() { return numerals.texts; },
  }),
});

function perTrace(read) {
  const values = {};
  traces.forEach((key, trace) => { values[key] = read(trace); });
  return values;
}

find("subject").addEventListener("change", (event) => choose(event.target.value));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  judge();
  traces.redraw();
});
for (const event of ["pageshow", "resume", "focus"]) window.addEventListener(event, judge);
setInterval(judge, JUDGE_MS);
requestAnimationFrame(drawFrame);
listSubjects();
