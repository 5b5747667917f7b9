/**
 * The pressure as every thread sees it: one word in shared memory, written by the main thread once a second or so,
 * read at each MAIL.
 *
 *   bits 0-1  level     bits 2-  the cause, as its place in QUANTITIES (nothing at level 0)
 *
 * One word, so that level and cause always belong together.
 */
import type { Side } from '../message/envelope.ts';
import type { Deferral, Level, Pressure } from '../policy/pressure.ts';
import { deferralOf, QUANTITIES } from '../policy/pressure.ts';

const LEVEL_BITS = 2;

export const pressureMemory = (): SharedArrayBuffer => new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);

export class PressureWord {
  readonly #word: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#word = new Int32Array(memory);
  }

  /** The main thread only. */
  write({ level, cause }: Pressure): void {
    Atomics.store(this.#word, 0, cause === null ? 0 : (QUANTITIES.indexOf(cause) << LEVEL_BITS) | level);
  }

  /** What new mail of this side is told, or null where it is welcome. */
  deferral(side: Side): Deferral | null {
    const word = Atomics.load(this.#word, 0);
    if (word === 0) return null;
    return deferralOf(side, (word & 3) as Level, QUANTITIES[word >> LEVEL_BITS]!);
  }
}
