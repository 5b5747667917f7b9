/**
 * Which segments are still wanted. Segments retire oldest first, because the marks in a segment concern messages of
 * older ones: as long as a message's record can be found again, so can its marks.
 *
 *   oldest ... sealed ... written (the journal is here) ... rolled (batches for it wait)
 *   │ no live message: retire │
 *   └ stragglers keep too much: copied forward, then retired
 *
 * Bound: files of segments are at most twice the live bytes plus two segments (what is copied is at most what was
 * appended since, so each byte is written about twice at worst).
 */
import { SPOOL_LIMITS } from './limits.ts';
import type { Message, Place } from './message.ts';
import type { Segment } from './segment.ts';

export interface RetirementHost {
  /** Older segments than this one are not written to any more; null while there is none at all. */
  readonly written: Segment | null;
  readonly segmentBytes: number;
  /** Copies of the spare, and of nothing else. */
  readonly spareBytes: number;
  readonly broken: boolean;
  readonly full: boolean;
  /** Bytes that copies can still have without another segment. */
  readonly roomBytes: number;
  retire(segment: Segment): Promise<void>;
  /** Appends the message anew and returns the bytes that takes; 0 if it is not wanted any more. */
  copyForward(message: Message): Promise<number>;
  /** What was appended is durable, or failed. */
  idle(): Promise<void>;
}

export class Retirement {
  /** In order of age, the one being written last. */
  readonly chain: Segment[];
  /** Frames of live messages. */
  liveBytes = 0;
  readonly #host: RetirementHost;
  #copying: Promise<void> | null = null;
  #stopped = false;

  constructor(host: RetirementHost, chain: readonly Segment[]) {
    this.#host = host;
    this.chain = [...chain];
    for (const segment of chain) this.liveBytes += segment.liveBytes;
  }

  /** The message's newest durable record is there now. */
  settle(message: Message, place: Place): void {
    this.#unsettle(message);
    message.place = place;
    place.segment.live.add(message);
    place.segment.liveBytes += place.frameBytes;
    this.liveBytes += place.frameBytes;
  }

  /** The message is final, durably. */
  drop(message: Message): void {
    this.#unsettle(message);
    message.place = null;
  }

  #unsettle(message: Message): void {
    const { place } = message;
    if (place === null) return;
    place.segment.live.delete(message);
    place.segment.liveBytes -= place.frameBytes;
    this.liveBytes -= place.frameBytes;
  }

  get diskBytes(): number {
    let bytes = this.#host.spareBytes;
    for (const segment of this.chain) bytes += segment.bytes;
    return bytes;
  }

  /** Called after every batch: cheap where there is nothing to do. */
  sweep(): void {
    while (this.#oldestIsSealed() && this.chain[0]!.live.size === 0 && !this.#host.broken) {
      this.#host.retire(this.chain.shift()!);
    }
    if (this.#copying === null && this.#overBound()) {
      this.#copying = this.#copyWhileOverBound().finally(() => {
        this.#copying = null;
      });
    }
  }

  /** Empties every segment up to the newest damaged one, so that what is left of them can be moved aside. */
  async leaveDamaged(): Promise<void> {
    for (let last = this.chain.findLastIndex((segment) => segment.damaged); last >= 0; last--) {
      await this.#copyOut(this.chain[0]!);
      if (this.#host.broken || this.chain[0]!.live.size > 0) return;
      await this.#host.retire(this.chain.shift()!);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#copying;
  }

  #oldestIsSealed(): boolean {
    const oldest = this.chain[0];
    const { written } = this.#host;
    return oldest !== undefined && (written === null || oldest.generation < written.generation);
  }

  #overBound(): boolean {
    const { segmentBytes, full, roomBytes, broken } = this.#host;
    if (this.#stopped || broken || !this.#oldestIsSealed()) return false;
    if (this.diskBytes <= 2 * (this.liveBytes + segmentBytes)) return false;
    // On a full disk copying frees space only if it can finish in the room there is, and leaves some for marks.
    return !full || this.chain[0]!.liveBytes * 2 < roomBytes;
  }

  async #copyWhileOverBound(): Promise<void> {
    while (this.#overBound()) {
      const oldest = this.chain[0]!;
      await this.#copyOut(oldest);
      this.sweep();
      if (this.chain[0] === oldest) return; // something stays: the next batch brings us here again
    }
  }

  async #copyOut(segment: Segment): Promise<void> {
    let bytes = 0;
    for (const message of [...segment.live]) {
      if (this.#host.broken || this.#stopped) return;
      bytes += await this.#host.copyForward(message);
      if (bytes < SPOOL_LIMITS.copyBytesMax) continue;
      bytes = 0;
      await this.#host.idle();
    }
    await this.#host.idle();
  }
}
