/**
 * Long work in a thread that must answer: a task is a generator, a few milliseconds of all of them are run, then the
 * sockets have their turn.
 *
 *   run ─► [task, task, …] ── SLICE_MS of steps, STEPS of each in turn ──► setImmediate ──► …
 *
 * A step is small: some microseconds between two yields. A task that yields a promise rests until that is settled.
 */
import { monotonicMs } from '../base/clock.ts';

/** A turn of the event loop is longer by so much at most. */
const SLICE_MS = 3;
/** Of one task before the next has its turn; the clock is read as often. */
const STEPS = 32;

export type Task = Iterator<Promise<void> | void>;

/** What a test replaces. */
export type SliceWorld = {
  readonly nowMs: () => number;
  readonly soon: (action: () => void) => void;
};
const REAL: SliceWorld = { nowMs: monotonicMs, soon: (action) => void setImmediate(action) };

export class Slices {
  readonly #world: SliceWorld;
  readonly #tasks: Task[] = [];
  #planned = false;
  #stopped = false;

  constructor(world: SliceWorld = REAL) {
    this.#world = world;
  }

  /** Tasks that are not finished. */
  get size(): number {
    return this.#tasks.length;
  }

  /** Begins in a turn of its own, never within the caller's. */
  run(task: Task): void {
    if (this.#stopped) return;
    this.#tasks.push(task);
    this.#plan();
  }

  /** No further step is made. */
  stop(): void {
    this.#stopped = true;
    this.#tasks.length = 0;
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    this.#world.soon(() => this.#slice());
  }

  #slice(): void {
    this.#planned = false;
    const endMs = this.#world.nowMs() + SLICE_MS;
    do {
      const task = this.#tasks.shift();
      if (task === undefined) return;
      this.#steps(task);
    } while (this.#world.nowMs() < endMs);
    if (this.#tasks.length > 0) this.#plan();
  }

  #steps(task: Task): void {
    for (let step = 0; step < STEPS; step++) {
      const { done, value } = task.next();
      if (done === true) return;
      if (value instanceof Promise) {
        value.finally(() => this.run(task));
        return;
      }
    }
    this.run(task);
  }
}
