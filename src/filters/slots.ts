/** So many messages at once at one filter; further ones wait, first come, first served, until they give up. */
export class Slots {
  readonly #countMax: number;
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** What gives the slot back, or null where none is free. */
  takeFree(): (() => void) | null {
    return this.#taken < this.#countMax ? this.take(() => undefined) : null;
  }

  /** Calls `ready` when a slot is the caller's, perhaps at once. What it returns ends the waiting, or gives it back. */
  take(ready: () => void): () => void {
    let mine = this.#taken < this.#countMax;
    const given = (): void => {
      mine = true;
      ready();
    };
    if (mine) this.#taken++;
    else this.#waiting.add(given);
    let open = true;
    if (mine) ready();
    return () => {
      if (!open) return;
      open = false;
      if (mine) this.#free();
      else this.#waiting.delete(given);
    };
  }

  #free(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      next(); // the slot changes hands
      return;
    }
    this.#taken--;
  }
}
