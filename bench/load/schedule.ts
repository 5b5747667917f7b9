/**
 * When what is sent in an open loop is due: evenly, after a ramp in which the rate grows evenly from nothing.
 *
 *   rate ┤      ┌────────     due by t:  r t² / 2R      within the ramp of R seconds
 *        │    ╱               (r a second)  r (t - R/2)    after it
 *      0 ┼──╱──R───────► t
 */
export class Schedule {
  readonly #perUs: number;
  readonly #rampUs: number;

  constructor(perSecond: number, rampSeconds = 0) {
    this.#perUs = perSecond / 1e6;
    this.#rampUs = rampSeconds * 1e6;
  }

  /** Of the one at `index`, 0 and up: µs after the start. */
  dueUs(index: number): number {
    const inRamp = (this.#perUs * this.#rampUs) / 2;
    if (index < inRamp) return Math.sqrt((2 * index * this.#rampUs) / this.#perUs);
    return index / this.#perUs + this.#rampUs / 2;
  }

  /** How many are due when `us` have passed. */
  dueBy(us: number): number {
    const due =
      us < this.#rampUs ? (this.#perUs * us * us) / (2 * this.#rampUs) : this.#perUs * (us - this.#rampUs / 2);
    return Math.floor(due) + 1;
  }
}
