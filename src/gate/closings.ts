/**
 * Which sessions a shard has closed, in memory that it shares with main: no message for each, and none too late. Main
 * reads it at the moment in which it judges the next client; a later report would refuse one for sessions that it has
 * ended.
 *
 *   word 0   where the shard will write next
 *   word 1…  a ring of places
 *
 * A place is main's number for an open session (shard_slot.ts), and is given anew only after its end was read. So never
 * more wait than there may be sessions, and with one word more the ring is never full.
 */

/** For one life of a shard. */
export const closingsMemory = (sessionsMax: number): SharedArrayBuffer =>
  new SharedArrayBuffer((1 + sessionsMax + 1) * Int32Array.BYTES_PER_ELEMENT);

/** In the shard, the only writer. */
export class ClosingsWriter {
  readonly #words: Int32Array;
  #at = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  add(place: number): void {
    this.#words[1 + this.#at] = place;
    this.#at = (this.#at + 1) % (this.#words.length - 1);
    Atomics.store(this.#words, 0, this.#at); // whoever sees this sees the place, too
  }
}

/** On the main thread, the only reader. */
export class ClosingsReader {
  readonly #words: Int32Array;
  #at = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  /** Each place once, in order; null: that was all until now. */
  next(): number | null {
    if (this.#at === Atomics.load(this.#words, 0)) return null;
    const place = this.#words[1 + this.#at]!;
    this.#at = (this.#at + 1) % (this.#words.length - 1);
    return place;
  }
}
