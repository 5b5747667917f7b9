/**
 * What is due for one site and waits for a connection, at rest.
 *
 *   fresh  lane of sender A: 1 ─► 2 ─► 3      one message of each lane in turn
 *          lane of sender B: 7
 *   tried  lane of sender A: 4 ─► 5           mail that has had an attempt: what an outage has piled up
 *   bulk   lane of sender C: 6 ─► 8 ─► …      what is large or goes to many
 *
 * Of eight turns four are for fresh mail, three for tried, one for bulk; a turn of which there is no mail is the next
 * one's of this list. So mail of now waits for a message or two, however long the backlog is, and the backlog shrinks.
 *
 * A sender of a million messages has a lane like everybody else, so the next one waits for one message of it, not for
 * all. The first LANES_MAX senders have a lane for each; with more of them, hashes share.
 */
import { Line, type Places } from './places.ts';

const PRIORITIES = ['fresh', 'tried', 'bulk'] as const;
export type Priority = (typeof PRIORITIES)[number];

export const TURNS: readonly Priority[] = ['fresh', 'tried', 'fresh', 'tried', 'fresh', 'tried', 'fresh', 'bulk'];
const LANES_MAX = 256;

export class FairQueue {
  readonly #lanes: Readonly<Record<Priority, Lanes>>;
  readonly #all: readonly Lanes[];
  #turn = 0;
  /** When the parcel that was taken last came, seconds since 1970. */
  takenSinceSeconds = 0;

  constructor(places: Places) {
    this.#lanes = { fresh: new Lanes(places), tried: new Lanes(places), bulk: new Lanes(places) };
    this.#all = PRIORITIES.map((priority) => this.#lanes[priority]);
  }

  /** Recipients. */
  get size(): number {
    return this.#lanes.fresh.size + this.#lanes.tried.size + this.#lanes.bulk.size;
  }

  /** Parcels: recipients of one message that stand together are one. */
  get parcels(): number {
    return this.#lanes.fresh.parcels + this.#lanes.tried.parcels + this.#lanes.bulk.parcels;
  }

  push(priority: Priority, sender: number, row: number, recipient: number, sinceSeconds: number): void {
    this.#lanes[priority].push(sender, row, recipient, sinceSeconds);
  }

  /**
   * The row that is next, or -1. Its recipients that stand together are put in `recipients`: they leave as one parcel.
   */
  take(recipients: number[]): number {
    let lanes = this.#lanes[TURNS[this.#turn++ % TURNS.length]!];
    if (lanes.size === 0) lanes = this.#all.find(({ size }) => size > 0) ?? lanes;
    const row = lanes.take(recipients);
    this.takenSinceSeconds = lanes.takenSinceSeconds;
    return row;
  }

  /** When the one who waits longest came, seconds since 1970; Infinity where nobody waits. */
  get oldestSeconds(): number {
    return Math.min(...this.#all.map(({ oldestSeconds }) => oldestSeconds));
  }

  /**
   * Takes out those for whom `over` says so, a step for each; others may come and go between the steps. `over` then
   * has them.
   */
  *sweep(over: (row: number, recipient: number, sinceSeconds: number) => boolean): Generator<void> {
    for (const lanes of this.#all) yield* lanes.sweep(over);
  }
}

/** The lanes of one priority, in an array: who is at `#at` has its turn. */
class Lanes {
  readonly #places: Places;
  readonly #byKey = new Map<number, Lane>();
  readonly #lanes: Lane[] = [];
  #at = 0;
  size = 0;
  parcels = 0;
  takenSinceSeconds = 0;

  constructor(places: Places) {
    this.#places = places;
  }

  push(sender: number, row: number, recipient: number, sinceSeconds: number): void {
    let lane = this.#byKey.get(sender);
    if (lane === undefined) lane = this.#laneFor(sender);
    this.#lineUp(lane, row, recipient, sinceSeconds);
  }

  #lineUp(lane: Lane, row: number, recipient: number, sinceSeconds: number): void {
    if (lane.size === 0 || this.#places.lastRow(lane) !== row) this.parcels++;
    this.#places.push(lane, row, recipient, sinceSeconds);
    this.size++;
  }

  /** The first of a lane leaves. */
  #leave(lane: Lane): void {
    const row = this.#places.row(lane);
    this.#places.drop(lane);
    this.size--;
    if (lane.size === 0 || this.#places.row(lane) !== row) this.parcels--;
  }

  #laneFor(sender: number): Lane {
    const key = this.#lanes.length < LANES_MAX ? sender : sender % LANES_MAX;
    const shared = this.#byKey.get(key);
    if (shared !== undefined) return shared;
    const lane = new Lane(key);
    this.#byKey.set(key, lane);
    this.#lanes.push(lane);
    return lane;
  }

  take(recipients: number[]): number {
    if (this.size === 0) return -1;
    const lane = this.#next();
    const row = this.#places.row(lane);
    this.takenSinceSeconds = this.#places.sinceSeconds(lane);
    do {
      recipients.push(this.#places.recipient(lane));
      this.#leave(lane);
    } while (lane.size > 0 && this.#places.row(lane) === row);
    if (lane.size > 0) this.#at++;
    return row;
  }

  /**
   * Passes over lanes that are empty by now. The last lane takes the place of one that goes, and is served from there:
   * in every round everybody has one turn.
   */
  #next(): Lane {
    for (;;) {
      if (this.#at >= this.#lanes.length) this.#at = 0;
      const lane = this.#lanes[this.#at]!;
      if (lane.size > 0) return lane;
      this.#byKey.delete(lane.key);
      const last = this.#lanes.pop()!;
      if (last !== lane) this.#lanes[this.#at] = last;
    }
  }

  get oldestSeconds(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) if (lane.size > 0) oldest = Math.min(oldest, this.#places.sinceSeconds(lane));
    return oldest;
  }

  /** Each lane is turned round once: who is at its front leaves, or lines up again behind the others. */
  *sweep(over: (row: number, recipient: number, sinceSeconds: number) => boolean): Generator<void> {
    const places = this.#places;
    for (const lane of [...this.#lanes]) {
      for (let left = lane.size; left > 0 && lane.size > 0; left--) {
        const row = places.row(lane);
        const recipient = places.recipient(lane);
        const sinceSeconds = places.sinceSeconds(lane);
        this.#leave(lane);
        if (!over(row, recipient, sinceSeconds)) this.#lineUp(lane, row, recipient, sinceSeconds);
        yield;
      }
    }
  }
}

class Lane extends Line {
  readonly key: number;

  constructor(key: number) {
    super();
    this.key = key;
  }
}
