// The bedside screen: larger type, the whole screen where the browser lets us, and a screen that does
// not go dark.

export class Stage {
  #button;
  #onLeave;
  #lock = null;
  isOn = false;

  // onLeave: the browser has left the full screen, as with Esc.
  constructor(button, { onToggle, onLeave }) {
    this.#button = button;
    this.#onLeave = onLeave;
    button.addEventListener("click", onToggle);
    document.addEventListener("fullscreenchange", () => {
      if (document.fullscreenElement === null && this.isOn) this.#onLeave();
    });
    // A screen that was out of sight has lost its lock.
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.isOn) this.#keepAwake();
    });
  }

  set(isOn) {
    if (isOn === this.isOn) return;
    this.isOn = isOn;
    document.body.dataset.stage = isOn ? "on" : "off";
    this.#button.setAttribute("aria-pressed", String(isOn));
    if (isOn) {
      // Only upon a key or a tap; from an address the type is larger all the same.
      if (navigator.userActivation?.isActive) document.documentElement.requestFullscreen?.().catch(() => {});
      this.#keepAwake();
    } else {
      if (document.fullscreenElement !== null) document.exitFullscreen().catch(() => {});
      this.#lock?.release().catch(() => {});
      this.#lock = null;
    }
  }

  // Only a secure page may: https, or this machine itself.
  async #keepAwake() {
    try {
      this.#lock = await navigator.wakeLock?.request("screen") ?? null;
    } catch {
      this.#lock = null;
    }
  }
}
