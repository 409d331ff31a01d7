// The address says what is shown: `?subject=ID` one subject, with `#full` in large type; `#ward`
// all of them. So the back button goes back, and a bedside screen can be given its own address. No
// node has such an id: the browser would go there by itself, and take the focus away.

export const WARD = { view: "ward", subject: null, full: false };

export function bedsideOf(subject, full = false) {
  return { view: "bedside", subject, full };
}

// Null: the address names nothing, and how many subjects there are decides.
export function readPlace(address = location.href) {
  const url = new URL(address);
  if (url.hash === "#ward") return WARD;
  const subject = url.searchParams.get("subject");
  return subject ? bedsideOf(subject, url.hash === "#full") : null;
}

export function addressOf(place) {
  const url = new URL(location.href);
  url.hash = place.view === "ward" ? "#ward" : place.full ? "#full" : "";
  if (place.subject === null) url.searchParams.delete("subject");
  else url.searchParams.set("subject", place.subject);
  // An empty hash would leave its sign behind.
  return url.href.replace(/#$/, "");
}

export class Router {
  #onPlace;
  place = null;

  constructor(onPlace) {
    this.#onPlace = onPlace;
    window.addEventListener("popstate", () => this.#apply(readPlace()));
  }

  start() {
    this.#apply(readPlace());
  }

  go(place) {
    history.pushState({ from: this.place?.view ?? null }, "", addressOf(place));
    this.#apply(place);
  }

  // The same entry of the history: what was shown before was a part of the same view.
  replace(place) {
    history.replaceState(history.state, "", addressOf(place));
    this.#apply(place);
  }

  // Esc: where one came from the ward, the entry before is the ward as one left it.
  toWard() {
    if (history.state?.from === "ward") history.back();
    else this.go(WARD);
  }

  #apply(place) {
    this.place = place;
    this.#onPlace(place);
  }
}
