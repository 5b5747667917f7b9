/**
 * Descriptors on their way from main to one life of a shard: each is closed by exactly one of the two, also when the
 * thread ends before it has taken what was posted.
 *
 *   main: give ─► port ─► shard: take, then make a socket of it; main, at the thread's end: recall the rest
 *
 * One shared word counts what the shard has taken, in the order in which it was given. Recall seals it: a shard that is
 * still alive by a hair takes nothing any more.
 */
import type { Accepted } from '../net/accepted.ts';

const SEALED = -1;
const COUNT_MASK = 0x7fffffff;

export type HandoverMemory = Int32Array<SharedArrayBuffer>;

/** Main's end. */
export class Handover {
  readonly memory: HandoverMemory = new Int32Array(new SharedArrayBuffer(4));
  #underway: number[] = [];
  #taken = 0;

  /**
   * Before it is posted, or it might be taken before it is known here. A socket that is transferred goes down with the
   * port: nothing is to be kept of it.
   */
  give(accepted: Accepted): void {
    if (typeof accepted !== 'number') return;
    this.#forget(Atomics.load(this.memory, 0));
    this.#underway.push(accepted);
  }

  /** What was never taken, and is main's again. */
  recall(): readonly number[] {
    const taken = Atomics.exchange(this.memory, 0, SEALED);
    if (taken !== SEALED) this.#forget(taken);
    return this.#underway.splice(0);
  }

  #forget(taken: number): void {
    const count = (taken - this.#taken) & COUNT_MASK;
    if (count === 0) return;
    this.#underway.splice(0, count);
    this.#taken = taken;
  }
}

/** The shard's end. False: main has recalled it, and it is not ours to touch. */
export function take(memory: HandoverMemory, accepted: Accepted): boolean {
  if (typeof accepted !== 'number') return true;
  const taken = Atomics.load(memory, 0);
  return taken !== SEALED && Atomics.compareExchange(memory, 0, taken, (taken + 1) & COUNT_MASK) === taken;
}
