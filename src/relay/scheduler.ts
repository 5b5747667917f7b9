/**
 * The scheduled queue: rows that are to be looked at when their time has come, one timer wheel for all of a shard
 * (facts.md: a wheel per queue was too costly for peers).
 *
 *   slot = due time in whole TICK_MS   { 7063: [row, …], 7067: [row], … }   tick ──► due ones, in order of time
 */
import type { Row, Stored } from '../spool/spool.ts';

/** A message, held awake, and those of its recipients (indices into its envelope) that travel together. */
export type Parcel = {
  readonly message: Stored;
  readonly recipients: readonly number[];
  /** Times it went back to the ready queue without counting as an attempt. */
  readonly again: number;
};

/** Delivery needs no finer time than this; it is also how late a parcel may be. */
export const TICK_MS = 250;

export class Scheduler {
  readonly #slots = new Map<number, Row[]>();
  #slotNext: number;
  #size = 0;

  constructor(nowMs: number) {
    this.#slotNext = Math.floor(nowMs / TICK_MS);
  }

  /** Looks to come. */
  get size(): number {
    return this.#size;
  }

  add(row: Row, dueMs: number): void {
    const slot = Math.max(Math.ceil(dueMs / TICK_MS), this.#slotNext);
    const rows = this.#slots.get(slot);
    if (rows === undefined) this.#slots.set(slot, [row]);
    else rows.push(row);
    this.#size++;
  }

  /** Takes out what is due. A clock that jumps forward makes much due at once; one that jumps back only delays. */
  due(nowMs: number): Row[] {
    const last = Math.floor(nowMs / TICK_MS);
    if (last < this.#slotNext) return [];
    const jump = last - this.#slotNext > this.#slots.size;
    const slots = jump
      ? [...this.#slots.keys()].filter((slot) => slot <= last).sort((a, b) => a - b)
      : this.#range(last);
    const rows: Row[] = [];
    for (const slot of slots) {
      for (const row of this.#slots.get(slot) ?? []) rows.push(row);
      this.#slots.delete(slot);
    }
    this.#slotNext = last + 1;
    this.#size -= rows.length;
    return rows;
  }

  #range(last: number): number[] {
    const slots: number[] = [];
    for (let slot = this.#slotNext; slot <= last; slot++) slots.push(slot);
    return slots;
  }
}
