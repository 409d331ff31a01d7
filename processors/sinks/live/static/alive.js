// The cover that lies over a page which has stopped. The stylesheet lets it appear after some seconds,
// whatever becomes of the scripts: they are dead, hang, or never came. Who runs puts it off.

export class Alive {
  #animation;

  constructor(cover) {
    [this.#animation] = cover.getAnimations();
  }

  tell() {
    if (this.#animation !== undefined) this.#animation.currentTime = 0;
  }
}
