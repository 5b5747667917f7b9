/**
 * Looks at messages at rest when their time has come, when their site has come back, and when somebody asks for it.
 *
 *   look ─► due now ──────────────────────────────► claimed ─► dispatch
 *        └─► later: wheel.ts ──tick, in slices──► look         what is held is in no queue; what is claimed is let be
 */
import { wallMs } from '../base/clock.ts';
import type { Index, Row } from '../spool/spool.ts';
import type { ReleaseOwner } from './release.ts';
import { Release } from './release.ts';
import type { Slices } from './slices.ts';
import { Wheel } from './wheel.ts';

/** What the schedule needs of the shard's outbound side. */
export interface ScheduleOwner extends ReleaseOwner {
  /** Claimed recipients. */
  dispatch(row: Row, recipients: readonly number[]): void;
  /** When a message's time is over. */
  endMs(row: Row): number;
  /** What a slice yields while the journal is behind. */
  roomForMarks(): Promise<void> | undefined;
}

export class Schedule {
  readonly release: Release;
  readonly #owner: ScheduleOwner;
  readonly #index: Index;
  readonly #slices: Slices;
  readonly #wheel = new Wheel(wallMs());
  #looking = false;

  constructor(owner: ScheduleOwner, index: Index, slices: Slices) {
    this.#owner = owner;
    this.#index = index;
    this.#slices = slices;
    this.release = new Release(index, slices, owner, (row, recipients) => this.#dispatch(row, recipients));
  }

  /** Looks at all that recovery found; mail comes and goes meanwhile. */
  start(): void {
    this.#slices.run(this.#lookAtAll());
  }

  tick(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#slices.run(this.#lookAtDue());
  }

  look(row: Row): void {
    if (!this.#index.has(row)) return;
    const nowMs = wallMs();
    const endMs = this.#owner.endMs(row);
    const due: number[] = [];
    let laterMs = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#index.recipients(row); at++) {
      const dueMs = this.#index.dueMs(row, at);
      if (dueMs === null || dueMs === Number.POSITIVE_INFINITY || this.#index.claimed(row, at)) continue;
      const attemptMs = Math.min(dueMs, endMs);
      if (attemptMs <= nowMs) due.push(at);
      else laterMs = Math.min(laterMs, attemptMs);
    }
    if (laterMs !== Number.POSITIVE_INFINITY) this.#wheel.add(row, laterMs);
    if (due.length > 0) this.#dispatch(row, due);
  }

  /** A look at the row by then. */
  add(row: Row, dueMs: number): void {
    this.#wheel.add(row, dueMs);
  }

  /** How long the look that is next has been due, milliseconds. */
  get lateMs(): number {
    return this.#wheel.lateMs(wallMs());
  }

  /** Rows that will be looked at. */
  get size(): number {
    return this.#wheel.size;
  }

  #dispatch(row: Row, recipients: readonly number[]): void {
    for (const at of recipients) this.#index.claim(row, at);
    this.#owner.dispatch(row, recipients);
  }

  *#lookAtAll(): Generator<Promise<void> | undefined> {
    for (const row of this.#index.rows()) {
      this.release.found(row);
      this.look(row);
      yield this.#owner.roomForMarks();
    }
  }

  *#lookAtDue(): Generator<Promise<void> | undefined> {
    for (let row = this.#wheel.take(wallMs()); row !== -1; row = this.#wheel.take(wallMs())) {
      this.look(row);
      yield this.#owner.roomForMarks();
    }
    this.#looking = false;
  }
}
