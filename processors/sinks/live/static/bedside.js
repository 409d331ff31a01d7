// One subject: traces, numbers, trends. One connection, two beats – a frame for the sweep, a quarter
// of a second for everything that is read.

import { judgeBanner } from "./banner.js";
import { PlayClock, ServerClock, pageNowMs } from "./clocks.js";
import { Connection } from "./connection.js";
import { AlarmList, DeviceStrip } from "./devices.js";
import { NumeralBoard } from "./numerals.js";
import { PROTOCOL_VERSION, decodeSamples } from "./protocol.js";
import { Percentiles } from "./stats.js";
import { TraceBoard } from "./traces.js";
import { TrendBoard } from "./trends.js";

const REPLAY_MS = 600_000; // samples older than this that no radio received are a replay
const RESTART_MS = 10_000; // a server silent for so long is called again
const BEATS_MAX = 32;
const QUALITIES = new Set(["signal_quality", "pulse_quality", "respiration_quality"]); // of a trace

export class BedsideView {
  #serverClock = new ServerClock();
  #playClock = new PlayClock();
  #arrival = new Percentiles(); // radio to page
  #glass = new Percentiles(); // radio to screen
  #connection = null;
  #heartbeatAtMs = 0; // page's clock
  #heardMs = null; // server's clock, when a frame of the subject came
  #isReplay = false;
  #isOutdated = false;
  #beats = [];
  subject = null;
  conditions = []; // what of the system behind the server is dead or silent
  nDropped = 0;
  nMessages = 0;
  nConnections = 0;
  #onText = {
    hello: (message) => this.#begin(message),
    heartbeat: (message) => this.#noteHeartbeat(message),
    system: (message) => { this.conditions = message.conditions; },
    channel: (message) => this.traces.addChannel(message),
    numeral: (message) => {
      if (QUALITIES.has(message.name)) this.traces.setQuality(message);
      else this.numerals.add(message, pageNowMs() - this.#serverClock.waitedMs(message.heard_ms));
    },
    beat: (message) => {
      this.traces.addBeat(message);
      this.#beats.push(message);
      if (this.#beats.length > BEATS_MAX) this.#beats.shift();
    },
    beat_class: (message) => this.traces.classifyBeat(message),
    gap: (message) => this.traces.addGap(message),
    device: (message) => this.devices.show(message),
    label: (message) => this.traces.addLabel(message),
    alarm: (message) => this.alarms.show(message),
    trend: (message) => this.trends.add(message),
    dropped: (message) => { this.nDropped = message.n_messages; },
  };

  constructor(find) {
    this.traces = new TraceBoard(find("traces"), find("traces-empty"), find("sweep-note"));
    this.numerals = new NumeralBoard(find("numerals"));
    this.devices = new DeviceStrip(find("devices"));
    this.alarms = new AlarmList(find("alarms"));
    this.trends = new TrendBoard(find("trends"));
    this.#foldTraces(find("more-traces"));
  }

  show(subject) {
    if (subject === this.subject) return;
    this.hide();
    this.subject = this.traces.subject = subject;
    if (subject === null) return;
    this.#heartbeatAtMs = pageNowMs();
    this.#connection = new Connection("ws", { subject }, {
      onText: (message) => {
        this.nMessages += 1;
        this.#onText[message.type]?.(message);
      },
      onBinary: (buffer) => this.#addSamples(buffer),
    });
  }

  hide() {
    this.#connection?.close();
    this.#connection = null;
    this.subject = null;
    for (const part of [this.traces, this.numerals, this.devices, this.alarms, this.trends]) part.clear();
    this.#playClock.reset();
    this.#arrival.clear();
    this.#glass.clear();
    this.#beats = [];
    this.#heardMs = null;
    this.#isReplay = false;
    this.conditions = [];
    this.nDropped = 0;
  }

  draw() {
    const nowMs = this.#serverClock.nowMs();
    const { positionMs, jumped } = this.#playClock.advance(nowMs);
    if (positionMs === null) return;
    this.traces.draw(positionMs, jumped, (receivedMs) => this.#glass.add(nowMs - receivedMs));
    this.#flashBeats(positionMs);
  }

  // Looks at everything that grows old. Returns {banner, nowMs, latency} for the frame of the page.
  judge() {
    const pageMs = pageNowMs();
    const nowMs = this.#serverClock.nowMs();
    this.traces.judge(pageMs);
    this.devices.judge(pageMs, this.traces.heardMs);
    this.numerals.judge(this.#eventNowMs(), pageMs);
    this.trends.judge(this.#eventNowMs(), this.numerals.limits);
    const connection = this.#connection;
    if (connection?.state === "open" && pageMs - this.#heartbeatAtMs > RESTART_MS) connection.restart();
    const banner = judgeBanner({
      subject: this.subject,
      connection: connection?.state ?? "connecting",
      retryInMs: connection === null ? 0 : connection.retryAtMs - performance.now(),
      outdated: this.#isOutdated,
      heartbeatAgeMs: pageMs - this.#heartbeatAtMs,
      heardAgeMs: this.#heardMs === null ? null : nowMs - this.#heardMs,
      hasWaveforms: this.traces.size > 0,
      replayOf: this.#isReplay ? this.#eventNowMs() : null,
      lagMs: this.#playClock.lagMs ?? 0,
      conditions: this.conditions,
      serverNowMs: nowMs,
    });
    return { banner, nowMs, latency: this.#latencyWords() };
  }

  redraw() {
    this.traces.redraw();
    this.trends.redraw();
  }

  get connection() {
    return this.#connection?.state ?? "connecting";
  }

  // For tests and measurements.
  get stats() {
    const perTrace = (read) => {
      const values = {};
      this.traces.forEach((key, trace) => { values[key] = read(trace); });
      return values;
    };
    return {
      samplesReceived: perTrace((trace) => trace.nSamples),
      samplesDrawn: perTrace((trace) => trace.nDrawn),
      gapsSeen: perTrace((trace) => trace.nGaps),
      strokes: perTrace((trace) => trace.strokes),
      beatsMarked: perTrace((trace) => trace.beatCounts),
      sweep: this.traces.state,
      frameWorkMs: this.traces.work.read(),
      latencyMs: this.#arrival.read(),
      glassLatencyMs: this.#glass.read(),
      playDelayMs: this.#playClock.delayMs,
    };
  }

  #begin(message) {
    this.#isOutdated = message.protocol !== PROTOCOL_VERSION;
    this.nConnections += 1;
    this.numerals.limits = message.limits;
    this.conditions = [];
    this.traces.forgetIds();
    this.alarms.clear();
    this.devices.clear();
    this.#noteHeartbeat(message);
  }

  #noteHeartbeat(message) {
    this.#heartbeatAtMs = pageNowMs();
    this.#serverClock.observe(message.server_ms, this.#heartbeatAtMs);
    this.#heardMs = message.heard_ms;
  }

  #addSamples(buffer) {
    this.nMessages += 1;
    const samples = decodeSamples(buffer);
    const nowMs = this.#serverClock.nowMs();
    const trace = this.traces.addSamples(samples, pageNowMs());
    if (trace === null) return;
    const lastMs = samples.t0Ms + (samples.counts.length - 1) * trace.periodMs;
    if (samples.history) {
      this.#playClock.observeHistory(lastMs, nowMs);
      return;
    }
    this.#heardMs = nowMs;
    this.#isReplay = samples.receivedMs === null && Math.abs(nowMs - lastMs) > REPLAY_MS;
    this.#playClock.observe(samples.t0Ms, lastMs, nowMs);
    if (samples.receivedMs !== null) this.#arrival.add(nowMs - samples.receivedMs);
  }

  // The subject's time: the server's clock, or of a replay that of the recording.
  #eventNowMs() {
    return this.#serverClock.nowMs() - (this.#isReplay ? this.#playClock.lagMs : 0);
  }

  // The heart flashes when the sweep is at the beat, or at once if it was told later.
  #flashBeats(positionMs) {
    const due = this.#beats.filter((beat) => beat.t_ms <= positionMs);
    if (due.length === 0) return;
    this.#beats = this.#beats.filter((beat) => beat.t_ms > positionMs);
    for (const beat of due) if (positionMs - beat.t_ms < 3000) this.numerals.beat(beat.source, pageNowMs());
  }

  #latencyWords() {
    const { n, p50, p95 } = this.#arrival.read();
    const slow = this.nDropped > 0 ? ` · ${this.nDropped} blocks missed, this page was too slow` : "";
    if (n === 0) return slow;
    const shown = this.#glass.read().p50;
    return `radio to page ${Math.round(p50)} ms (95 %: ${Math.round(p95)} ms)${shown === null ? "" : ` · to screen ${Math.round(shown)} ms`}${slow}`;
  }

  // On a phone held upright there is room for one waveform; the others are one tap away.
  #foldTraces(button) {
    const { body } = document;
    const show = (isOpen) => {
      body.dataset.traces = isOpen ? "all" : "one";
      button.setAttribute("aria-expanded", String(isOpen));
      button.textContent = isOpen ? "Show one waveform" : `Show all ${this.traces.size} waveforms`;
    };
    button.addEventListener("click", () => show(body.dataset.traces !== "all"));
    this.traces.onChange = () => {
      button.hidden = this.traces.size < 2;
      show(body.dataset.traces === "all");
    };
  }
}
