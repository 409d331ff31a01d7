// One WebSocket that comes back: with pauses that grow, and at once when the network returns.

import { whoAmI } from "./account.js";

const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 10_000;
const SIGNED_OUT = 4401;
const NOT_ALLOWED = 4403;

export class Connection {
  #url;
  #subject;
  #onText;
  #onBinary;
  #socket = null;
  #timer = null;
  #nFailed = 0;
  state = "connecting"; // open, lost
  retryAtMs = 0; // performance.now() of the next attempt
  reason = "";

  // path: "ws" or "ws/ward"; words: what is asked of it.
  constructor(path, words, { onText, onBinary }) {
    this.#subject = words.subject ?? null;
    this.#url = new URL(path, document.baseURI);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.search = new URLSearchParams(words).toString();
    this.#onText = onText;
    this.#onBinary = onBinary;
    window.addEventListener("online", this.#retry);
    this.#open();
  }

  close() {
    window.removeEventListener("online", this.#retry);
    clearTimeout(this.#timer);
    this.#drop();
  }

  // A server that says nothing may be behind a dead network: only a new connection tells.
  restart() {
    this.#drop();
    this.#later();
  }

  #open = () => {
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.state = "open";
      this.#nFailed = 0;
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.#onText(JSON.parse(data));
      else this.#onBinary(data);
    };
    socket.onclose = ({ code, reason }) => {
      this.reason = reason;
      this.#socket = null;
      // Of a socket that was refused the browser tells nothing: is it that we may not?
      if (code === SIGNED_OUT || code === NOT_ALLOWED) location.reload();
      else if (this.state !== "open") whoAmI(this.#subject).catch(() => {});
      this.#later();
    };
    this.#socket = socket;
  };

  #retry = () => {
    if (this.state !== "lost") return;
    clearTimeout(this.#timer);
    this.#open();
  };

  #later() {
    // Half of the pause is by chance, so that not every page of the ward comes at once.
    const pause = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** this.#nFailed) * (0.5 + Math.random() / 2);
    this.#nFailed += 1;
    this.state = "lost";
    this.retryAtMs = performance.now() + pause;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#open, pause);
  }

  #drop() {
    if (this.#socket === null) return;
    const socket = this.#socket;
    socket.onclose = socket.onmessage = null;
    // One that is not open yet is closed when it is: before, the browser would complain.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket.close();
    this.#socket = null;
  }
}
