/**
 * Which segments are still wanted. Segments retire oldest first, because the marks in a segment concern messages of
 * older ones: as long as a message's record can be found again, so can its marks.
 *
 *   oldest ... sealed ... written (the journal is here) ... rolled (batches for it wait)
 *   │ no live message: retire │
 *   └ stragglers keep too much: copied forward, then retired
 *
 * Bound: files of segments are at most twice the live bytes plus two segments (what is copied is at most what was
 * appended since, so each byte is written about twice at worst). Where that cannot be, because records leave half of
 * each segment empty, all is copied once, and again only after half as much has changed as is live.
 */
import { assert } from '../base/assert.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { Place } from './message.ts';
import type { Rows } from './rows.ts';
import type { Segment } from './segment.ts';
import type { Row } from './spool.ts';

export interface RetirementHost {
  /** Older segments than this one are not written to any more; null while there is none at all. */
  readonly written: Segment | null;
  readonly segmentBytes: number;
  /** Copies of the spare, and of nothing else. */
  readonly spareBytes: number;
  readonly broken: boolean;
  readonly full: boolean;
  /** Written by the journal since it was opened, in whole blocks. */
  readonly bytesAppended: number;
  /** Bytes that copies can still have without another segment. */
  readonly roomBytes: number;
  readonly index: Rows;
  retire(segment: Segment): Promise<void>;
  /** Appends messages anew, those that are still wanted, side by side. */
  copyForward(rows: readonly Row[]): Promise<void>;
  /** What was appended is durable, or failed. */
  idle(): Promise<void>;
}

export class Retirement {
  /** In order of age, the one being written last. */
  readonly #chain: Segment[];
  readonly #byGeneration = new Map<number, Segment>();
  /** Frames of live messages. */
  liveBytes = 0;
  readonly #host: RetirementHost;
  #copying: Promise<void> | null = null;
  /** Copying goes on until segments up to this generation are gone: once round. */
  #roundEnd = 0;
  /** `#changedBytes` when the round began. */
  #changedBytesThen = Number.NEGATIVE_INFINITY;
  #copiedBytes = 0;
  #endedBytes = 0;
  #stopped = false;

  constructor(host: RetirementHost, chain: readonly Segment[]) {
    this.#host = host;
    this.#chain = [...chain];
    for (const segment of chain) this.#byGeneration.set(segment.generation, segment);
  }

  /** The journal goes on in this one. */
  roll(segment: Segment): void {
    this.#chain.push(segment);
    this.#byGeneration.set(segment.generation, segment);
  }

  get segments(): readonly Segment[] {
    return this.#chain;
  }

  /** Where the message's newest durable record is; null: it has none any more. */
  segmentOf(row: Row): Segment | null {
    return this.#byGeneration.get(this.#host.index.generation(row)) ?? null;
  }

  /** The message's newest durable record is there now. */
  settle(row: Row, place: Place): void {
    if (this.segmentOf(row) !== null) {
      this.#copiedBytes += place.frameBytes;
      this.#leave(row);
    }
    this.#host.index.setPlace(row, place);
    this.restore(row);
  }

  /** Counts a message whose place the index has. */
  restore(row: Row): void {
    const segment = this.segmentOf(row);
    assert(segment !== null, 'a record is in a segment of the chain');
    const frameBytes = this.#host.index.frameBytes(row);
    segment.live++;
    segment.liveBytes += frameBytes;
    this.liveBytes += frameBytes;
  }

  /** The message is gone: final durably, or lost. */
  drop(row: Row): void {
    this.#endedBytes += this.#host.index.frameBytes(row);
    this.#leave(row);
    this.#host.index.setPlace(row, NOWHERE);
  }

  #leave(row: Row): void {
    const segment = this.segmentOf(row);
    if (segment === null) return;
    const frameBytes = this.#host.index.frameBytes(row);
    segment.live--;
    segment.liveBytes -= frameBytes;
    this.liveBytes -= frameBytes;
  }

  get #roundIsOver(): boolean {
    return this.#chain[0]!.generation > this.#roundEnd;
  }

  /** What came, and what ended: copies change nothing. */
  get #changedBytes(): number {
    return this.#host.bytesAppended - this.#copiedBytes + this.#endedBytes;
  }

  get diskBytes(): number {
    let bytes = this.#host.spareBytes;
    for (const segment of this.#chain) bytes += segment.bytes;
    return bytes;
  }

  /** Called after every batch: cheap where there is nothing to do. */
  sweep(): void {
    while (this.#oldestIsSealed() && this.#chain[0]!.live === 0 && !this.#host.broken) {
      this.#retireOldest();
    }
    if (this.#copying === null && this.#overBound()) {
      this.#copying = this.#copyWhileOverBound().finally(() => {
        this.#copying = null;
      });
    }
  }

  /** Empties every segment up to the newest damaged one, so that what is left of them can be moved aside. */
  async leaveDamaged(): Promise<void> {
    const last = this.#chain.findLastIndex((segment) => segment.damaged);
    for (const segment of this.#chain.slice(0, last + 1)) {
      if (this.#chain[0] === segment) await this.#copyOut(segment);
      if (this.#chain[0] !== segment) continue; // a sweep was quicker
      if (this.#host.broken || segment.live > 0) return;
      await this.#retireOldest();
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#copying;
  }

  #oldestIsSealed(): boolean {
    const oldest = this.#chain[0];
    const { written } = this.#host;
    return oldest !== undefined && (written === null || oldest.generation < written.generation);
  }

  #overBound(): boolean {
    const { segmentBytes, full, roomBytes, broken } = this.#host;
    if (this.#stopped || broken || !this.#oldestIsSealed()) return false;
    if (this.diskBytes <= 2 * (this.liveBytes + segmentBytes)) return false;
    if (this.#roundIsOver && 2 * (this.#changedBytes - this.#changedBytesThen) < this.liveBytes) return false;
    // On a full disk copying frees space only if it can finish in the room there is, and leaves some for marks.
    return !full || this.#chain[0]!.liveBytes * 2 < roomBytes;
  }

  async #copyWhileOverBound(): Promise<void> {
    while (this.#overBound()) {
      if (this.#roundIsOver) {
        this.#roundEnd = this.#chain.at(-1)!.generation;
        this.#changedBytesThen = this.#changedBytes;
      }
      const oldest = this.#chain[0]!;
      await this.#copyOut(oldest);
      this.sweep();
      if (this.#chain[0] === oldest) return; // something stays: the next batch brings us here again
    }
  }

  async #copyOut(segment: Segment): Promise<void> {
    const { index } = this.#host;
    let group: Row[] = [];
    let bytes = 0;
    // Which these are is nowhere else: a set a segment would cost each message 40 bytes.
    for (const row of index.rowsIn(segment.generation)) {
      group.push(row);
      bytes += index.frameBytes(row);
      if (bytes < SPOOL_LIMITS.copyBytesMax) continue;
      await this.#copy(group);
      group = [];
      bytes = 0;
    }
    await this.#copy(group);
  }

  /** In one batch, or few: each takes whole blocks, and small messages that are alone in theirs fill a segment soon. */
  async #copy(group: readonly Row[]): Promise<void> {
    if (this.#host.broken || this.#stopped) return;
    await this.#host.copyForward(group);
    await this.#host.idle();
  }

  #retireOldest(): Promise<void> {
    const oldest = this.#chain.shift()!;
    this.#byGeneration.delete(oldest.generation);
    return this.#host.retire(oldest);
  }
}

const NOWHERE: Place = { generation: 0, at: 0, frameBytes: 0 };
