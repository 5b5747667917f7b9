/**
 * How many connections a site may have while it comes back: one at first, and one more for each message that it took,
 * so that they double with each round of answers (as TCP's slow start does), up to the limit of all others.
 *
 *   limit ──blocked──► 1 ──took──► 2 ──took──► … ──► limit
 *                          └─refused─► half, at least 1
 *
 * A server that has just started has cold caches and a million messages in front of it; one that never was away is not
 * slowed down.
 */
export class Ramp {
  readonly #max: number;
  #allowed: number;

  constructor(max: number) {
    this.#max = max;
    this.#allowed = max;
  }

  /** Connections at once. */
  get allowed(): number {
    return this.#allowed;
  }

  /** Nobody was reached. */
  blocked(): void {
    this.#allowed = 1;
  }

  /** A message was carried, and answered. */
  took(): void {
    if (this.#allowed < this.#max) this.#allowed++;
  }

  /** A further connection was refused, while others are open. */
  refused(): void {
    this.#allowed = Math.max(1, Math.floor(this.#allowed / 2));
  }
}
