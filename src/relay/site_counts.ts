/**
 * Connections per site over all shards (architecture §3.10): one row of counters a shard in shared memory, so that a
 * shard that dies takes nothing with it but its own row.
 *
 *   row 0       | slot 0 | slot 1 | …  connections of shard 0
 *   row 1       | slot 0 | slot 1 | …  connections of shard 1
 *   greetings   | slot 0: whose, how many | …  times that a shard got through to a site: the others need not find out
 *
 * Beside its count a shard writes when it was denied one more, and while that is fresh, it waits: who has more than it
 * gives way (allowance.ts).
 *
 * A site's slot is a hash of its key. Two sites in one slot share a limit: with a few hundred sites that have
 * connections at once in 16,384 slots this is rare, and then costs one of them some concurrency, nothing else.
 */
import { assert } from '../base/assert.ts';
import { wallMs } from '../base/clock.ts';
import { hashOf } from '../base/hash.ts';

const SLOTS = 16_384; // 64 KiB a shard

/** The lower half of a shard's number is its connections, the upper one when it was denied another, or 0. */
const COUNT_BITS = 16;
const COUNT = (1 << COUNT_BITS) - 1;
/** It asks again each quarter of a second; one that hangs does not, and is not waited for. */
const STAMP_MS = 256;
const STAMPS = 1 << 14;
const FRESH_STAMPS = 4;

const isFresh = (stamp: number): boolean => (stampOf(wallMs()) - stamp + STAMPS) % STAMPS <= FRESH_STAMPS;
const stampOf = (ms: number): number => 1 + (Math.floor(ms / STAMP_MS) % STAMPS);

/** A row a shard, and two numbers a slot for the greetings. */
export const siteCountsMemory = (shards: number): SharedArrayBuffer => new SharedArrayBuffer((shards + 2) * SLOTS * 4);

/** Called for a shard that has died: its connections are closed. */
export function clearSiteCounts(memory: SharedArrayBuffer, shard: number): void {
  new Int32Array(memory, shard * SLOTS * 4, SLOTS).fill(0);
}

/** Tells sites of one slot apart. */
const checkOf = (key: string): number => hashOf(`${key} `) | 0;

export class SiteCounts {
  readonly #counts: Int32Array;
  readonly #shards: number;
  readonly #row: number;

  constructor(memory: SharedArrayBuffer, shard: number) {
    this.#counts = new Int32Array(memory);
    this.#shards = this.#counts.length / SLOTS - 2;
    this.#row = shard * SLOTS;
    assert(shard < this.#shards, 'every shard has a row');
  }

  slotOf(key: string): number {
    return hashOf(key) % SLOTS;
  }

  /**
   * Counts one more connection if the sum over all shards stays within `max`: added first, so that no two shards pass
   * at once. Where it does not, this shard waits for one until it gets one, or does not want it any more.
   */
  acquire(slot: number, max: number): boolean {
    Atomics.add(this.#counts, this.#row + slot, 1);
    if (this.#total(slot) <= max) {
      this.waitsNoMore(slot);
      return true;
    }
    Atomics.sub(this.#counts, this.#row + slot, 1);
    this.waits(slot);
    return false;
  }

  /** This shard would have another connection, and may not. */
  waits(slot: number): void {
    const count = Atomics.load(this.#counts, this.#row + slot) & COUNT; // nobody else writes here
    Atomics.store(this.#counts, this.#row + slot, count | (stampOf(wallMs()) << COUNT_BITS));
  }

  waitsNoMore(slot: number): void {
    Atomics.and(this.#counts, this.#row + slot, COUNT);
  }

  /** How many connections that other shard has which waits for one more and has fewest; Infinity: none waits. */
  fewestOfWaiting(slot: number): number {
    let fewest = Number.POSITIVE_INFINITY;
    for (let row = 0; row < this.#shards * SLOTS; row += SLOTS) {
      const number = Atomics.load(this.#counts, row + slot);
      if (number > COUNT && row !== this.#row && isFresh(number >>> COUNT_BITS))
        fewest = Math.min(fewest, number & COUNT);
    }
    return fewest;
  }

  /** Whether `acquire` would succeed at this moment. */
  hasRoom(slot: number, max: number): boolean {
    return this.#total(slot) < max;
  }

  #total(slot: number): number {
    let total = 0;
    for (let row = 0; row < this.#shards * SLOTS; row += SLOTS) total += Atomics.load(this.#counts, row + slot) & COUNT;
    return total;
  }

  /** A server of this site has taken a connection. */
  greeted(key: string): void {
    const at = this.#greetingAt(key);
    Atomics.store(this.#counts, at, checkOf(key));
    Atomics.add(this.#counts, at + 1, 1);
  }

  /** Another number after each `greeted`, by whichever shard; -1: another site of this slot was greeted last. */
  greetings(key: string): number {
    const at = this.#greetingAt(key);
    return Atomics.load(this.#counts, at) === checkOf(key) ? Atomics.load(this.#counts, at + 1) : -1;
  }

  #greetingAt(key: string): number {
    return this.#shards * SLOTS + 2 * this.slotOf(key);
  }

  release(slot: number): void {
    const before = Atomics.sub(this.#counts, this.#row + slot, 1);
    assert((before & COUNT) > 0, 'a connection is released once');
  }
}
