/**
 * Rows by a number of theirs, as long as somebody looks them up by it: a million take 16 MB at most. Open addressing,
 * linear probing, at most half full; the index has the numbers, and a row keeps its own as long as it is in here.
 */
import { assert } from '../base/assert.ts';
import type { Row } from './spool.ts';

const NONE = -1;
const FIRST = 1024;

export class RowTable {
  readonly #numberOf: (row: Row) => number;
  #table = new Int32Array(FIRST).fill(NONE);
  #size = 0;

  constructor(rows: Iterable<Row>, numberOf: (row: Row) => number) {
    this.#numberOf = numberOf;
    for (const row of rows) this.add(row);
  }

  add(row: Row): void {
    if (this.#size * 2 >= this.#table.length) this.#grow();
    this.#put(row);
    this.#size++;
  }

  /** One of this number. */
  get(number: number): Row | undefined {
    for (const row of this.all(number)) return row;
    return undefined;
  }

  /** All of this number. */
  *all(number: number): Generator<Row> {
    for (let at = this.#home(number); this.#table[at] !== NONE; at = this.#after(at)) {
      const row = this.#table[at]!;
      if (this.#numberOf(row) === number) yield row;
    }
  }

  /** One that is there. Those behind it that it was in the way of move up. */
  delete(row: Row): void {
    const table = this.#table;
    let hole = this.#home(this.#numberOf(row));
    for (; table[hole] !== row; hole = this.#after(hole)) assert(table[hole] !== NONE, 'the row is there');
    for (let at = this.#after(hole); table[at] !== NONE; at = this.#after(at)) {
      const home = this.#home(this.#numberOf(table[at]!));
      // Its way from home to here leads over the hole.
      const distance = (to: number): number => (to - home) & (table.length - 1);
      if (distance(hole) > distance(at)) continue;
      table[hole] = table[at]!;
      hole = at;
    }
    table[hole] = NONE;
    this.#size--;
  }

  #put(row: Row): void {
    let at = this.#home(this.#numberOf(row));
    while (this.#table[at] !== NONE) at = this.#after(at);
    this.#table[at] = row;
  }

  /** Fibonacci hashing: runs of numbers, and there are such, are spread evenly. */
  #home(number: number): number {
    return Math.imul(number, 0x9e3779b1) >>> (Math.clz32(this.#table.length) + 1);
  }

  #after(at: number): number {
    return (at + 1) & (this.#table.length - 1);
  }

  #grow(): void {
    const before = this.#table;
    this.#table = new Int32Array(before.length * 2).fill(NONE);
    for (const row of before) if (row !== NONE) this.#put(row);
  }
}
