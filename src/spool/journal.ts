/**
 * The writer of the journal: records are encoded into a batch while the one before is on its way, and each batch is
 * one durable write (group commit).
 *
 *   append ─► encoded into the filling batch ─► queue ─► in flight ─(write and sync)─► entry.durable
 *      └► held: no room until the next segment is ready (or entry.failed: the disk is full)
 *
 * Invariants: one batch is in flight at a time, in order of sequence; so whoever sees a record of a later batch knows
 * that everything before that batch was on disk. `entry.durable` is called only after the sync that covers the entry.
 * A failed write or sync is final: the kernel may have dropped the dirty pages, and a second sync would falsely
 * succeed.
 */
import type { Position } from './checkpoint.ts';
import { codeOf, writeFully } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { SegmentLife } from './record.ts';
import { alignBlock, BLOCK_BYTES, encodeRecord, encodeSegmentHeader, frameBytesOf } from './record.ts';
import type { Segment, SegmentSupply } from './segment.ts';
import { SpoolFailure } from './spool.ts';

/** One record on its way, and who waits for it. */
export abstract class Entry {
  abstract readonly kind: number;
  /** It frees space sooner or later: it may use the reserve, and goes on when the disk is full. */
  abstract readonly urgent: boolean;
  readonly content: Buffer | null = null;
  readonly contentCrc: number = 0;
  /** Set when it has a place. */
  sequence = 0;
  /** Offset in its segment, and size with header and padding. */
  at = 0;
  frameBytes = 0;
  /** Its body as of now; asked for once or twice, used at once. */
  abstract pack(): Buffer;
  /** It has a place in the order of things; not durable yet. */
  placed(): void {}
  abstract durable(segment: Segment): void;
  abstract failed(failure: SpoolFailure): void;
}

class Batch {
  readonly segment: Segment;
  /** Offset in the segment, on a block boundary. */
  readonly at: number;
  readonly durable: number;
  buffer: Buffer;
  used = 0;
  /** Somebody waits for its sync: it has more than urgent entries. */
  awaited = false;
  readonly entries: Entry[] = [];

  constructor(segment: Segment, at: number, durable: number, buffer: Buffer) {
    this.segment = segment;
    this.at = at;
    this.durable = durable;
    this.buffer = buffer;
  }

  get end(): number {
    return this.at + this.used;
  }

  /** Room for `bytes` more, and for the zeros up to the next block. */
  reserve(bytes: number): void {
    const need = alignBlock(this.used + bytes);
    if (need <= this.buffer.length) return;
    let size = this.buffer.length;
    while (size < need) size *= 2;
    const larger = Buffer.allocUnsafeSlow(size);
    this.buffer.copy(larger, 0, 0, this.used);
    this.buffer = larger;
  }
}

export type JournalStart = {
  readonly segmentBytes: number;
  /** Of the first record to be written. */
  readonly sequence: number;
  /** Known to be on disk of what recovery found. */
  readonly durable: number;
  /** Empty, and used by nobody. Null: there is none, and the supply looks for one. */
  readonly segment: Segment | null;
  /** The newest one with records. */
  readonly previous: SegmentLife | null;
  /** How long urgent entries wait for others before they have a sync of their own, ms. */
  readonly companyMs: number;
};

export type JournalEvents = {
  /** A batch is durable: what it freed may be retired. */
  readonly batch: () => void;
  readonly rolled: (segment: Segment) => void;
  readonly broken: (failure: SpoolFailure) => void;
};

export class Journal {
  syncs = 0;
  records = 0;
  broken: SpoolFailure | null = null;
  /** The segment that the last durable batch went to; older ones are not written to any more. */
  written: Segment | null = null;
  /** Of the last durable batch's end; null before the first. */
  position: Position | null = null;
  /** In whole blocks. */
  bytesAppended = 0;
  readonly #supply: SegmentSupply;
  readonly #events: JournalEvents;
  readonly #segmentBytes: number;
  readonly #reserveBytes: number;
  #segment: Segment | null;
  #previous: SegmentLife;
  /** Where the last closed batch ends in #segment. */
  #end = 0;
  #sequence: number;
  /** What the next batch may claim to be on disk already. */
  #durable: number;
  #filling: Batch | null = null;
  readonly #queue: Batch[] = [];
  #held: Entry[] = [];
  /** Urgent ones among them: marks keep their order. */
  #heldUrgent = 0;
  #writing = false;
  #scheduled = false;
  readonly #companyMs: number;
  /** Runs while urgent entries wait for company. */
  #alone: NodeJS.Timeout | undefined;
  readonly #buffers: Buffer[] = [];
  #idle: (() => void)[] = [];

  constructor(start: JournalStart, supply: SegmentSupply, events: JournalEvents) {
    this.#segmentBytes = start.segmentBytes;
    this.#reserveBytes = Math.floor(start.segmentBytes * SPOOL_LIMITS.reserveFraction);
    this.#sequence = start.sequence;
    this.#durable = start.durable;
    this.#companyMs = start.companyMs;
    this.#segment = start.segment;
    this.#supply = supply;
    this.#events = events;
    this.written = start.segment;
    this.#previous = start.previous ?? { generation: 0, salt: 0 };
    if (start.segment !== null) this.#open(start.segment);
  }

  /** Ends in `durable` or `failed` of the entry, the latter possibly within this call. */
  append(entry: Entry): void {
    if (this.broken !== null) return entry.failed(this.broken);
    if (!entry.urgent && this.#supply.full) return entry.failed(noSpace());
    const behind = entry.urgent ? this.#heldUrgent > 0 : this.#held.length > 0;
    if (behind || !this.#place(entry)) this.#hold(entry);
  }

  /** The supply has a spare, or has none and cannot make one: what was held goes on, or fails. */
  supplyChanged(): void {
    const held = this.#held;
    this.#held = [];
    this.#heldUrgent = 0;
    // Marks first: they need no more than the reserve.
    for (const entry of held) if (entry.urgent) this.append(entry);
    for (const entry of held) if (!entry.urgent) this.append(entry);
  }

  /** Resolves when everything appended so far is durable or failed. */
  idle(): Promise<void> {
    if (!this.#busy) return Promise.resolve();
    this.#schedule();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  get #busy(): boolean {
    const filling = this.#filling !== null && this.#filling.entries.length > 0;
    return this.#writing || this.#queue.length > 0 || filling || this.#held.length > 0;
  }

  /** Bytes that an urgent record could still have without another segment. */
  get roomBytes(): number {
    if (this.#segment === null) return 0;
    return this.#segmentBytes - alignBlock(this.#filling?.end ?? this.#end);
  }

  #hold(entry: Entry): void {
    if (this.#supply.full) return entry.failed(noSpace());
    this.#held.push(entry);
    if (entry.urgent) this.#heldUrgent++;
    this.#supply.want();
  }

  /** Gives the entry its place and bytes, or returns false: there is no room for it before the next segment. */
  #place(entry: Entry): boolean {
    const meta = entry.pack();
    const content = entry.content;
    const contentBytes = content === null ? 0 : content.length;
    const bytes = frameBytesOf(meta.length, contentBytes);
    if (bytes > this.#segmentBytes - BLOCK_BYTES) {
      entry.failed(new SpoolFailure('full', `a record of ${bytes} bytes does not fit into a segment`));
      return true;
    }
    const batch = this.#batchFor(bytes, entry.urgent);
    if (batch === null) return false;
    batch.reserve(bytes);
    const sequence = this.#sequence++;
    entry.sequence = sequence;
    entry.at = batch.end;
    entry.frameBytes = bytes;
    entry.placed();
    const { kind, contentCrc } = entry;
    const frame = { kind, sequence, durable: batch.durable, metaBytes: meta.length, contentBytes, contentCrc };
    batch.used = encodeRecord(batch.buffer, batch.used, batch.segment, frame, meta, content);
    batch.entries.push(entry);
    batch.awaited ||= !entry.urgent;
    this.#schedule();
    return true;
  }

  #batchFor(bytes: number, urgent: boolean): Batch | null {
    const segment = this.#segment;
    if (segment !== null) {
      const filling = this.#filling;
      const room = urgent || this.#supply.spare !== null ? this.#segmentBytes : this.#segmentBytes - this.#reserveBytes;
      if (filling !== null && filling.used + bytes <= SPOOL_LIMITS.batchBytesMax && filling.end + bytes <= room) {
        return filling;
      }
      const at = alignBlock(filling?.end ?? this.#end);
      if (at + bytes <= room) {
        this.#closeFilling();
        if (at > this.#segmentBytes * SPOOL_LIMITS.prepareAtFraction) this.#supply.want();
        return this.#newBatch(segment, at);
      }
    }
    const next = this.#supply.take();
    if (next === null) return null;
    this.#closeFilling();
    this.#segment = next;
    this.written ??= next;
    this.#events.rolled(next);
    return this.#open(next);
  }

  /** The first batch of a segment brings its header: one write, and until it is whole the segment counts as unused. */
  #open(segment: Segment): Batch {
    const batch = this.#newBatch(segment, 0);
    const { generation, salt, bytes: segmentBytes } = segment;
    const { durable } = batch;
    const previous = this.#previous;
    encodeSegmentHeader(batch.buffer, 0, {
      generation,
      salt,
      segmentBytes,
      firstSequence: this.#sequence,
      durable,
      previous,
    });
    this.#previous = { generation, salt };
    batch.used = BLOCK_BYTES;
    return batch;
  }

  #newBatch(segment: Segment, at: number): Batch {
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(SPOOL_LIMITS.batchBytesFirst);
    const batch = new Batch(segment, at, this.#durable, buffer);
    this.#filling = batch;
    return batch;
  }

  #closeFilling(): void {
    const filling = this.#filling;
    if (filling === null) return;
    this.#filling = null;
    this.#end = filling.end;
    // Batches are written one after the other: when the next one is written, this one is on disk.
    if (filling.entries.length > 0) this.#durable = this.#sequence - 1;
    this.#queue.push(filling);
  }

  /** At the end of this turn of the event loop: whatever else it brings joins the batch. */
  #schedule(): void {
    if (this.#writing || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#next();
    });
  }

  #next(): void {
    if (this.#writing) return;
    if (this.broken !== null) return this.#wakeIdle();
    const filling = this.#filling;
    if (this.#queue.length === 0 && filling !== null && filling.entries.length > 0) {
      if (!filling.awaited && this.#idle.length === 0 && this.#companyMs > 0) return this.#waitForCompany();
      this.#closeFilling();
    }
    const batch = this.#queue.shift();
    if (batch === undefined) return this.#wakeIdle();
    this.#writing = true;
    const end = alignBlock(batch.used);
    batch.buffer.fill(0, batch.used, end);
    writeFully(batch.segment.file, batch.buffer, 0, end, batch.at).then(
      () => this.#complete(batch),
      (error: unknown) => this.#fail(batch, error),
    );
  }

  /**
   * Nobody waits for a mark, and a sync of its own is what the next message would have to wait for: it goes with that
   * one where one comes soon.
   */
  #waitForCompany(): void {
    this.#alone ??= setTimeout(() => {
      this.#alone = undefined;
      if (this.#filling !== null) this.#filling.awaited = true;
      this.#next();
    }, this.#companyMs);
  }

  #complete(batch: Batch): void {
    this.#writing = false;
    this.syncs++;
    this.records += batch.entries.length;
    this.written = batch.segment;
    this.#passed(batch);
    for (const entry of batch.entries) entry.durable(batch.segment);
    if (batch.buffer.length <= SPOOL_LIMITS.batchBytesMax && this.#buffers.length < SPOOL_LIMITS.batchBuffersKeptMax) {
      this.#buffers.push(batch.buffer);
    }
    this.#events.batch();
    this.#next();
  }

  #passed({ segment: { generation, salt }, at, used, entries }: Batch): void {
    this.bytesAppended += alignBlock(used);
    const last = entries.at(-1);
    if (last !== undefined) this.position = { generation, salt, at: alignBlock(at + used), sequence: last.sequence };
  }

  #fail(batch: Batch, error: unknown): void {
    this.#writing = false;
    this.break(`writing the journal failed (${codeOf(error)})`, error, batch.entries);
  }

  /** Ends this journal for good. What waits for it fails. */
  break(why: string, cause: unknown, inFlight: readonly Entry[] = []): void {
    if (this.broken !== null) return;
    const failure = new SpoolFailure('broken', why, { cause });
    this.broken = failure;
    const waiting = [...inFlight, ...this.#queue.flatMap((batch) => batch.entries)];
    if (this.#filling !== null) waiting.push(...this.#filling.entries);
    waiting.push(...this.#held);
    this.#queue.length = 0;
    this.#filling = null;
    this.#held = [];
    this.#heldUrgent = 0;
    this.#events.broken(failure);
    for (const entry of waiting) entry.failed(failure);
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    if (this.#busy) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }
}

const noSpace = (): SpoolFailure => new SpoolFailure('full', 'no space for another segment on the disk');
