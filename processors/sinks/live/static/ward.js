// All subjects at a glance. One connection; the tiles are kept in order, in sight and up to date.

import { judgeBanner } from "./banner.js";
import { ServerClock, pageNowMs } from "./clocks.js";
import { Connection } from "./connection.js";
import { PROTOCOL_VERSION } from "./protocol.js";
import { addressOf, bedsideOf } from "./router.js";
import { Percentiles } from "./stats.js";
import { WardTile } from "./ward_tile.js";
import { layOut } from "./ward_layout.js";
import { RULE, TileOrder, WELL } from "./ward_order.js";
import { durationWords, setText } from "./words.js";

const RESTART_MS = 10_000; // a server silent for so long is called again
const DRAW_MS = 95;
const HOLD_MS = 4000; // while somebody chooses, nothing moves
const FIXED_KEY = "chevet.ward.fixedOrder";

export class WardView {
  #find;
  #onOpen;
  #connection = null;
  #clock = new ServerClock();
  #order = new TileOrder();
  #arrival = new Percentiles();
  #tiles = new Map();
  #inSight = new Set();
  #watcher;
  #limits = {};
  #heartbeatAtMs = 0;
  #isOutdated = false;
  #isNew = false; // a tile came or went since the last arrangement
  #touchedMs = -Infinity;
  #drawnMs = 0;
  #wanted = null; // the subject that is to have the focus once it has a tile
  conditions = []; // what of the system behind the server is dead or silent
  nConnections = 0;
  nMoves = 0;

  constructor(find, { onOpen }) {
    this.#find = find;
    this.#onOpen = onOpen;
    const root = find("ward-tiles");
    new ResizeObserver(() => this.#layOut()).observe(find("ward-view"));
    this.#watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.#inSight.add(target.dataset.subject);
        else this.#inSight.delete(target.dataset.subject);
      }
    });
    root.addEventListener("click", (event) => this.#click(event));
    for (const kind of ["pointerdown", "wheel", "keydown"]) {
      root.addEventListener(kind, () => { this.#touchedMs = performance.now(); }, { passive: true });
    }
    find("search").addEventListener("input", () => this.#filter());
    this.#bindOrder(find("fixed-order"));
  }

  show() {
    if (this.#connection !== null) return;
    this.#heartbeatAtMs = pageNowMs();
    this.#connection = new Connection("ws/ward", {}, {
      onText: (message) => this.#take(message),
      onBinary: () => {},
    });
  }

  hide() {
    this.#connection?.close();
    this.#connection = null;
  }

  draw(atMs) {
    if (atMs - this.#drawnMs < DRAW_MS) return;
    this.#drawnMs = atMs;
    const nowMs = this.#clock.nowMs();
    for (const subject of this.#inSight) this.#tiles.get(subject)?.miniature.advance(nowMs);
  }

  judge() {
    const pageMs = pageNowMs();
    const nowMs = this.#clock.nowMs();
    for (const tile of this.#tiles.values()) tile.judge(nowMs, pageMs, this.#limits);
    this.#arrange();
    const connection = this.#connection;
    if (connection?.state === "open" && pageMs - this.#heartbeatAtMs > RESTART_MS) connection.restart();
    return { banner: this.#banner(pageMs, nowMs), nowMs, latency: this.#latencyWords() };
  }

  redraw() {
    for (const tile of this.#tiles.values()) tile.miniature.redraw();
  }

  // Who comes back from a subject is where he was.
  focus(subject) {
    this.#wanted = subject;
    if (!this.#tiles.has(subject)) return;
    this.#tiles.get(subject).link.focus();
    this.#wanted = null;
  }

  // key: an arrow, Home or End. To the nearest tile in that direction.
  move(key) {
    const names = this.#shown();
    const links = names.map((name) => this.#tiles.get(name).link);
    const from = links.indexOf(document.activeElement);
    this.#touchedMs = performance.now();
    if (from < 0 || key === "Home") return links[0]?.focus();
    if (key === "End") return links.at(-1).focus();
    const columns = links.filter((link) => link.offsetTop === links[0].offsetTop).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    return links[from + step]?.focus();
  }

  get connection() {
    return this.#connection?.state ?? "connecting";
  }

  get stats() {
    return {
      order: this.#shown(),
      tiles: Object.fromEntries([...this.#tiles].map(([name, tile]) => [name, tile.stats])),
      moves: this.nMoves,
      connections: this.nConnections,
      latencyMs: this.#arrival.read(),
    };
  }

  #take(message) {
    if (message.type === "hello") {
      this.#isOutdated = message.protocol !== PROTOCOL_VERSION;
      this.#limits = message.limits;
      this.conditions = [];
      this.nConnections += 1;
    }
    if (message.type === "hello" || message.type === "heartbeat") {
      this.#heartbeatAtMs = pageNowMs();
      this.#clock.observe(message.server_ms, this.#heartbeatAtMs);
    } else if (message.type === "system") this.conditions = message.conditions;
    else if (message.type === "ward") this.#tell(message);
  }

  #tell({ subjects, traces, gone }) {
    const pageMs = pageNowMs();
    const nowMs = this.#clock.nowMs();
    for (const subject of gone) this.#drop(subject);
    for (const row of subjects) {
      const tile = this.#tiles.get(row.subject) ?? this.#build(row.subject);
      tile.tell(row, pageMs, this.#clock);
      if (row.received_ms !== null) this.#arrival.add(nowMs - row.received_ms);
    }
    for (const columns of traces) this.#tiles.get(columns.subject)?.miniature.add(columns, nowMs);
    if (this.#isNew) this.judge();
  }

  #build(subject) {
    const tile = new WardTile(subject, addressOf(bedsideOf(subject)));
    this.#tiles.set(subject, tile);
    this.#find("ward-tiles").append(tile.node);
    this.#watcher.observe(tile.link);
    this.#isNew = true;
    return tile;
  }

  #drop(subject) {
    const tile = this.#tiles.get(subject);
    if (tile === undefined) return;
    this.#watcher.unobserve(tile.link);
    this.#inSight.delete(subject);
    tile.node.remove();
    this.#tiles.delete(subject);
    this.#isNew = true;
  }

  #arrange() {
    const ranks = new Map([...this.#tiles].map(([subject, tile]) => [subject, tile.rank]));
    const isHeld = performance.now() - this.#touchedMs < HOLD_MS;
    const order = this.#order.arrange(ranks, performance.now(), { isHeld, isNew: this.#isNew });
    setText(this.#find("ward-rule"), this.#order.isFixed ? "In the order of their names." : RULE);
    if (order !== null) this.#place(order);
    if (this.#wanted !== null) this.focus(this.#wanted);
    if (this.#isNew) {
      this.#isNew = false;
      this.#filter();
    }
    this.#count();
  }

  // Only what is not in its place is moved, and what has the focus keeps it.
  #place(order) {
    const root = this.#find("ward-tiles");
    const focused = document.activeElement;
    order.forEach((subject, i) => {
      const { node } = this.#tiles.get(subject);
      if (root.children[i] === node) return;
      root.insertBefore(node, root.children[i] ?? null);
      this.nMoves += 1;
    });
    if (root.contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }

  #filter() {
    const wanted = this.#find("search").value.trim().toLowerCase();
    for (const [subject, tile] of this.#tiles) tile.node.hidden = !subject.toLowerCase().includes(wanted);
    this.#find("ward-empty").hidden = this.#tiles.size > 0;
    this.#count();
    this.#layOut();
  }

  #count() {
    const [n, shown] = [this.#tiles.size, this.#shown().length];
    const nWrong = [...this.#tiles.values()].filter((tile) => tile.rank < WELL).length;
    const of = shown === n ? `${n} ${n === 1 ? "subject" : "subjects"}` : `${shown} of ${n} subjects`;
    setText(this.#find("ward-count"), nWrong === 0 ? of : `${of} · ${nWrong} to look at`);
  }

  #shown() {
    return [...this.#find("ward-tiles").children].filter((node) => !node.hidden).map((node) => node.firstChild.dataset.subject);
  }

  #layOut() {
    const root = this.#find("ward-tiles");
    const ward = this.#find("ward-view");
    if (ward.clientWidth === 0) return;
    const style = getComputedStyle(ward);
    const widthPx = root.clientWidth;
    // Where the page itself scrolls, the ward is as high as its tiles: what counts is the window.
    const isPage = style.overflowY === "visible";
    const heightPx = isPage ? window.innerHeight - root.offsetTop
      : ward.clientHeight - parseFloat(style.paddingBottom) - (root.offsetTop - ward.offsetTop);
    const { columns, scale, design, scrolls } = layOut(this.#shown().length, widthPx, heightPx);
    root.dataset.design = design;
    root.dataset.scrolls = scrolls;
    root.style.setProperty("--columns", columns);
    root.style.setProperty("--scale", scale.toFixed(3));
    for (const tile of this.#tiles.values()) tile.miniature.resize();
  }

  #banner(pageMs, nowMs) {
    const heard = [...this.#tiles.values()].map((tile) => tile.heardMs).filter((ms) => ms !== null);
    const connection = this.#connection;
    const banner = judgeBanner({
      subject: this.#tiles.size === 0 && connection?.state === "open" ? null : "",
      connection: connection?.state ?? "connecting",
      retryInMs: connection === null ? 0 : connection.retryAtMs - performance.now(),
      outdated: this.#isOutdated,
      heartbeatAgeMs: pageMs - this.#heartbeatAtMs,
      heardAgeMs: heard.length === 0 ? null : nowMs - Math.max(...heard),
      hasWaveforms: false,
      replayOf: null,
      lagMs: 0,
      conditions: this.conditions,
      serverNowMs: nowMs,
    });
    if (banner.state !== "no-data") return banner;
    const forWords = heard.length === 0 ? "yet" : `for ${durationWords((nowMs - Math.max(...heard)) / 1000)}`;
    return { ...banner, text: `No data from any subject ${forWords}` };
  }

  #latencyWords() {
    const { n, p50, p95 } = this.#arrival.read();
    return n === 0 ? "told once a second" : `radio to ward ${Math.round(p50)} ms (95 %: ${Math.round(p95)} ms), told once a second`;
  }

  #click(event) {
    const link = event.target.closest("a.ward-tile");
    if (link === null || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    this.#onOpen(link.dataset.subject);
  }

  #bindOrder(box) {
    box.checked = this.#order.isFixed = localStorage.getItem(FIXED_KEY) === "yes";
    box.addEventListener("change", () => {
      this.#order.isFixed = box.checked;
      localStorage.setItem(FIXED_KEY, box.checked ? "yes" : "no");
      this.#isNew = true; // at once: somebody asked for it
      this.#arrange();
    });
  }
}
