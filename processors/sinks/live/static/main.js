// The page: which view is shown, the two beats on which it lives, the keys, and what tests may read.

import { Alive } from "./alive.js";
import { BedsideView } from "./bedside.js";
import { Keys } from "./keys.js";
import { Router, WARD, bedsideOf } from "./router.js";
import { Stage } from "./stage.js";
import { pageNowMs } from "./clocks.js";
import { FrameRate } from "./stats.js";
import { SubjectList } from "./subject_list.js";
import { listenToSwipes } from "./swipe.js";
import { WardView } from "./ward.js";
import { setText } from "./words.js";

const JUDGE_MS = 250;

const find = (id) => document.getElementById(id);
const { body } = document;
const alive = new Alive(find("stopped"));
const frameRate = new FrameRate();
const bedside = new BedsideView(find);
const ward = new WardView(find, { onOpen: (subject) => router.go(bedsideOf(subject)) });
const router = new Router(show);
const stage = new Stage(find("stage-button"), {
  onToggle: () => toggleStage(),
  onLeave: () => router.replace(bedsideOf(bedside.subject)),
});
const subjects = new SubjectList(find("subject"), {
  onRows: choose,
  onChoose: (subject) => turnTo(subject),
});

let view = bedside;
let lastSubject = null;
let banner = { state: "connecting", text: "" };
let judgedAtMs = 0; // page's clock

function show(place) {
  const isWard = place?.view === "ward";
  view = isWard ? ward : bedside;
  body.dataset.view = isWard ? "ward" : "bedside";
  stage.set(place?.full ?? false);
  if (isWard) {
    bedside.hide();
    ward.show();
    ward.focus(lastSubject);
  } else {
    ward.hide();
    bedside.show(place?.subject ?? null);
    lastSubject = bedside.subject;
    subjects.show(bedside.subject);
  }
  document.title = isWard ? "Ward – Chevet" : place === null ? "Chevet – live" : `${place.subject} – Chevet`;
  judge();
}

// An address without a subject: the ward where there are several, or else the only one.
function choose(rows) {
  if (router.place === null && rows.length > 0) router.replace(rows.length > 1 ? WARD : bedsideOf(rows[0].subject));
  else subjects.show(bedside.subject);
}

// Another subject in the same view: the back button still leads to where one came from.
function turnTo(subject) {
  if (subject !== null) router.replace(bedsideOf(subject, stage.isOn));
}

function toggleStage() {
  if (bedside.subject !== null) router.replace(bedsideOf(bedside.subject, !stage.isOn));
}

function judge() {
  judgedAtMs = pageNowMs();
  const { banner: judged, nowMs, latency } = view.judge();
  banner = judged;
  find("banner").dataset.state = body.dataset.state = banner.state;
  find("banner").dataset.level = banner.level;
  setText(find("banner-text"), banner.text);
  setText(find("clock"), new Date(nowMs).toLocaleTimeString(undefined, { hourCycle: "h23" }));
  setText(find("latency-note"), latency);
  alive.tell(); // last: what fails above has not judged
}

function drawFrame(atMs) {
  frameRate.add(atMs);
  // A timer may have been held up for minutes: nothing old is painted before it is judged.
  if (pageNowMs() - judgedAtMs > 2 * JUDGE_MS) judge();
  view.draw(atMs);
  requestAnimationFrame(drawFrame);
}

const inWard = () => view === ward;
const atBedside = () => view === bedside;
const TRENDS = { strip: "large", large: "off", off: "strip" };

function turnTrends() {
  body.dataset.trends = TRENDS[body.dataset.trends ?? "strip"];
  bedside.redraw();
}

const keys = new Keys(find("keys"), find("keys-list"), find("keys-button"));
keys.add("Ward", ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"], "from tile to tile", ({ key }) => ward.move(key), inWard);
keys.describe("Ward", ["Enter"], "opens the subject");
keys.add("Ward", ["/"], "finds a subject", () => find("search").focus(), inWard);
keys.add("Ward", ["o"], "fixed order, or the worst first", () => find("fixed-order").click(), inWard);
keys.add("Subject", ["w"], "to the ward", () => router.toWard(), atBedside);
keys.add("Subject", ["n", "p"], "next, previous subject; or swipe", ({ key }) => turnTo(subjects.beside(bedside.subject, key === "n" ? 1 : -1)), atBedside);
keys.add("Subject", ["b"], "full screen, larger type", toggleStage, atBedside);
keys.add("Subject", ["t"], "trends: small, large, none", turnTrends, atBedside);
keys.describe("Subject", ["f", " "], "freeze the traces, and let them go");
keys.describe("Frozen traces", ["ArrowLeft", "ArrowRight", "PageUp", "PageDown"], "back and forth in time");
keys.describe("Frozen traces", ["c"], "caliper: time and voltage between two marks");
keys.describe("Frozen traces", ["l"], "label: say something of what lies between the marks, if you may");
keys.add("Everywhere", ["Escape"], "back", escape);
keys.add("Everywhere", ["?"], "these keys", () => keys.help());

function escape() {
  const search = find("search");
  if (document.activeElement === search) {
    search.value = "";
    search.dispatchEvent(new Event("input"));
    search.blur();
  } else if (stage.isOn) toggleStage();
  else if (atBedside()) router.toWard();
}

find("to-ward").addEventListener("click", (event) => {
  event.preventDefault();
  router.toWard();
});
// While the traces stand still a finger moves them.
listenToSwipes(find("bedside"), (step) => turnTo(subjects.beside(bedside.subject, step)), () => !bedside.traces.isFrozen);

Object.defineProperty(window, "chevet", {
  value: Object.freeze({
    get framesDrawn() { return frameRate.nFrames; },
    get framesPerSecond() { return frameRate.perSecond; },
    get samplesReceived() { return bedside.stats.samplesReceived; },
    get samplesDrawn() { return bedside.stats.samplesDrawn; },
    get gapsSeen() { return bedside.stats.gapsSeen; },
    get strokes() { return bedside.stats.strokes; },
    get beatsMarked() { return bedside.stats.beatsMarked; },
    get sweep() { return bedside.stats.sweep; },
    get frameWorkMs() { return bedside.stats.frameWorkMs; },
    get latencyMs() { return bedside.stats.latencyMs; },
    get glassLatencyMs() { return bedside.stats.glassLatencyMs; },
    get playDelayMs() { return bedside.stats.playDelayMs; },
    get messagesReceived() { return bedside.nMessages; },
    get messagesDropped() { return bedside.nDropped; },
    get connections() { return view === ward ? ward.nConnections : bedside.nConnections; },
    get connection() { return view.connection; },
    get banner() { return { ...banner }; },
    get conditions() { return view.conditions.map((one) => ({ ...one })); },
    get view() { return body.dataset.view; },
    get subject() { return bedside.subject; },
    get numerals() { return bedside.numerals.texts; },
    get trends() { return bedside.trends.stats; },
    get ward() { return ward.stats; },
  }),
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  judge();
  view.redraw();
});
for (const event of ["pageshow", "resume", "focus"]) window.addEventListener(event, judge);
router.start();
setInterval(judge, JUDGE_MS);
requestAnimationFrame(drawFrame);
