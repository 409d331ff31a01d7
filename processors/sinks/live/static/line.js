// The line of a waveform: goes on from where it was left, out at the right edge and in again at the
// left one.

export class Line {
  nDrawn = 0; // points, for who wonders what a frame costs
  #isDown = false;
  #x = 0;
  #y = 0;
  #turn = 0;

  lift() {
    this.#isDown = false;
  }

  // Draw the samples j0 to j1 of a run. `y` maps a value; the stroke is the caller's.
  follow(view, axis, { store, run, j0, j1, y }) {
    const { pen, width } = view;
    if (this.#isDown) pen.moveTo(this.#x, this.#y);
    for (let j = j0; j <= j1; j += 1) {
      const tMs = run.t0Ms + j * store.periodMs;
      const turn = axis.turnOf(tMs);
      const px = axis.x(tMs, turn);
      const py = y(store.value(run.first + j));
      if (!this.#isDown) pen.moveTo(px, py);
      else if (turn !== this.#turn) {
        pen.lineTo(px + width, py);
        pen.moveTo(this.#x - width, this.#y);
      }
      pen.lineTo(px, py);
      this.#isDown = true;
      this.#x = px;
      this.#y = py;
      this.#turn = turn;
    }
    this.nDrawn += Math.max(0, j1 - j0 + 1);
  }
}
