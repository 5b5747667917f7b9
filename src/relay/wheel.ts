/**
 * The scheduled queue: one timer wheel for all of a shard (facts.md: a wheel per queue was too costly for peers).
 *
 *   slot (due time in whole TICK_MS) ─► first row ⇄ row ⇄ row     a ring for each slot, linked through arrays by row
 *   slots whose time has come ─► due ⇄ row ⇄ row ─► take
 *
 * An entry says "look at this row at this time", nothing more: whoever takes it asks the index what is due. So a row
 * has one entry at most, at the earliest time that anybody named; it is looked at early where that has changed, and in
 * vain where the message is gone. The price is 12 bytes a row, whatever happens to it, and no step costs more with more
 * rows.
 */
import { assert } from '../base/assert.ts';
import { columnOf, grown, resized } from '../base/column.ts';

/** Delivery needs no finer time than this; it is also how late a look may be. */
export const TICK_MS = 250;

const NONE = -1;
const ROWS_MIN = 1024;

export class Wheel {
  /** Slots are counted from here, so that they fit 32 bits for 34 years. */
  readonly #origin: number;
  /** The first row of each slot that is still to come; the one before it in the ring is the last. */
  readonly #firsts = new Map<number, number>();
  /** The same for all slots before `#slotNext`. */
  #due = NONE;
  #slotNext = 0;
  /** By row; NONE: it has no entry. */
  #next = columnOf(Int32Array, ROWS_MIN).fill(NONE);
  #before = columnOf(Int32Array, ROWS_MIN);
  #slot = columnOf(Uint32Array, ROWS_MIN);
  #size = 0;

  constructor(nowMs: number) {
    this.#origin = Math.floor(nowMs / TICK_MS);
  }

  /** Rows that have an entry. */
  get size(): number {
    return this.#size;
  }

  /** The row is looked at by then; one that is looked at earlier already stays where it is. */
  add(row: number, dueMs: number): void {
    assert(Number.isFinite(dueMs), 'what is held waits for no time');
    while (row >= this.#next.length) this.#grow();
    const slot = Math.max(Math.ceil(dueMs / TICK_MS) - this.#origin, this.#slotNext - 1, 0);
    if (this.#next[row] !== NONE) {
      if (this.#slot[row]! <= slot) return;
      this.#unlink(row);
    }
    this.#slot[row] = slot;
    this.#size++;
    if (slot < this.#slotNext) this.#due = this.#append(this.#due, row);
    else this.#firsts.set(slot, this.#append(this.#firsts.get(slot) ?? NONE, row));
  }

  /**
   * Takes out one row that is due, in order of time, or gives -1. A clock that jumps forward makes much due at once;
   * one that jumps back only delays.
   */
  take(nowMs: number): number {
    this.#advance(Math.floor(nowMs / TICK_MS) - this.#origin);
    const row = this.#due;
    if (row !== NONE) this.#unlink(row);
    return row;
  }

  /** How long the row that is to be taken next has been due, in milliseconds; 0 where none is. */
  lateMs(nowMs: number): number {
    this.#advance(Math.floor(nowMs / TICK_MS) - this.#origin);
    if (this.#due === NONE) return 0;
    return Math.max(0, nowMs - (this.#slot[this.#due]! + this.#origin) * TICK_MS);
  }

  /** Every slot up to `last` joins what is due. Costs a step a tick, or, after a jump of the clock, a step a slot. */
  #advance(last: number): void {
    if (last < this.#slotNext) return;
    if (last - this.#slotNext > this.#firsts.size) {
      const slots = [...this.#firsts.keys()].filter((slot) => slot <= last).sort((a, b) => a - b);
      for (const slot of slots) this.#becomesDue(slot);
    } else for (let slot = this.#slotNext; slot <= last; slot++) this.#becomesDue(slot);
    this.#slotNext = last + 1;
  }

  #becomesDue(slot: number): void {
    const first = this.#firsts.get(slot);
    if (first === undefined) return;
    this.#firsts.delete(slot);
    if (this.#due === NONE) this.#due = first;
    else this.#join(this.#due, first);
  }

  /** Behind the last of the ring that begins with `first`, which may be NONE; gives the ring's first. */
  #append(first: number, row: number): number {
    this.#next[row] = row;
    this.#before[row] = row;
    if (first === NONE) return row;
    this.#join(first, row);
    return first;
  }

  /** Two rings become one: the second behind the first. */
  #join(first: number, second: number): void {
    const firstLast = this.#before[first]!;
    const secondLast = this.#before[second]!;
    this.#next[firstLast] = second;
    this.#before[second] = firstLast;
    this.#next[secondLast] = first;
    this.#before[first] = secondLast;
  }

  #unlink(row: number): void {
    const next = this.#next[row]!;
    const rest = next === row ? NONE : next;
    const before = this.#before[row]!;
    this.#next[before] = next;
    this.#before[next] = before;
    this.#next[row] = NONE;
    this.#size--;
    const slot = this.#slot[row]!;
    if (this.#due === row) this.#due = rest;
    else if (slot >= this.#slotNext && this.#firsts.get(slot) === row) {
      if (rest === NONE) this.#firsts.delete(slot);
      else this.#firsts.set(slot, rest);
    }
  }

  #grow(): void {
    const { length } = this.#next;
    const room = grown(length);
    this.#next = resized(this.#next, room).fill(NONE, length);
    this.#before = resized(this.#before, room);
    this.#slot = resized(this.#slot, room);
  }
}
