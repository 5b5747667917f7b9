/**
 * One file of the journal, and the supply of them.
 *
 *   zeros written ─► NNNNNNNN.new ─rename─► spare ─► active ─► sealed ─► retired ─rename to the next number─► spare
 *                                                                          └► unlinked, where a spare is there already
 *
 * A number is a generation: it is used once, so records that an earlier life left in a recycled file never count.
 */
import { randomBelow } from '../base/random.ts';
import type { Disk, DiskFile } from './disk.ts';
import { isShortage, writeFully } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';

export const SEGMENT_PATTERN = /^(\d{8,10})\.seg$/;
const segmentName = (generation: number): string => `${String(generation).padStart(8, '0')}.seg`;

export class Segment {
  generation: number;
  /** Drawn anew whenever the file begins a life; see record.ts. */
  salt: number;
  readonly file: DiskFile;
  readonly bytes: number;
  /** Messages whose newest durable record is here, and the bytes of these. */
  live = 0;
  liveBytes = 0;
  /** Part of it is unreadable: it is moved aside, not reused. */
  damaged = false;
  #readers = 0;
  #closing = false;

  constructor(generation: number, salt: number, file: DiskFile, bytes: number) {
    this.generation = generation;
    this.salt = salt;
    this.file = file;
    this.bytes = bytes;
  }

  /** A read may outlast the segment's retirement: the descriptor stays open until it is done. */
  async reading<Result>(read: (file: DiskFile) => Promise<Result>): Promise<Result> {
    this.#readers++;
    try {
      return await read(this.file);
    } finally {
      this.#readers--;
      if (this.#closing && this.#readers === 0) await this.file.close();
    }
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#readers === 0) await this.file.close();
  }
}

const newSalt = (): number => randomBelow(2 ** 32);

export type SupplyEvents = {
  /** A spare is there (`full` is over). */
  readonly ready: () => void;
  /** None can be made now. Tried again every SPOOL_LIMITS.fullRetryMs and with every segment that retires. */
  readonly full: (error: unknown) => void;
  /** The folder can no longer be trusted. */
  readonly failed: (error: unknown) => void;
};

/** Makes, recycles and removes segment files, one thing at a time. */
export class SegmentSupply {
  spare: Segment | null = null;
  full = false;
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #segmentBytes: number;
  readonly #events: SupplyEvents;
  #nextGeneration: number;
  #work: Promise<void> = Promise.resolve();
  readonly #retiring: Segment[] = [];
  /** Its name is gone, but the folder could not be synced yet. */
  #leaving: Segment | null = null;
  #making = false;
  #retry: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(disk: Disk, folder: string, segmentBytes: number, nextGeneration: number, events: SupplyEvents) {
    this.#disk = disk;
    this.#folder = folder;
    this.#segmentBytes = segmentBytes;
    this.#nextGeneration = nextGeneration;
    this.#events = events;
  }

  /** The spare becomes the caller's. */
  take(): Segment | null {
    const { spare } = this;
    this.spare = null;
    return spare;
  }

  /** Sees to a spare. The events tell how it went. */
  want(): void {
    if (this.spare !== null || this.#making || this.#closed || (this.full && this.#retry !== null)) return;
    this.#making = true;
    this.#enqueue(async () => {
      this.#making = false;
      if (this.spare === null && !this.#closed) this.#stock(await this.#make());
    });
  }

  /**
   * Nothing in this segment is wanted any more. Resolves when its file is a spare, aside, or gone; or later will be.
   */
  retire(segment: Segment): Promise<void> {
    this.#retiring.push(segment);
    return this.#enqueue(() => this.#retireAll());
  }

  /** In order, and none is left out: an older segment must never be found again where a newer one is gone. */
  async #retireAll(): Promise<void> {
    for (let segment = this.#retiring[0]; segment !== undefined; segment = this.#retiring[0]) {
      const recyclable = !segment.damaged && segment.bytes === this.#segmentBytes;
      if (recyclable && this.spare === null && !this.#closed && this.#leaving !== segment) {
        await this.#recycle(segment);
        this.#retiring.shift();
        this.#stock(segment);
      } else {
        await this.#remove(segment);
        this.#retiring.shift();
        await segment.close();
      }
    }
  }

  /** Resolves when nothing is being done. */
  idle(): Promise<void> {
    return this.#work;
  }

  /** Waits for what was begun. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#work;
    for (const segment of this.#retiring) await segment.close().catch(() => {});
    await this.spare?.close().catch(() => {});
  }

  /** Errors of a job end in an event, never in a rejection. */
  #enqueue(job: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(job).catch((error: unknown) => {
      if (isShortage(error)) this.#starved(error);
      else this.#events.failed(error);
    });
    return this.#work;
  }

  #starved(error: unknown): void {
    if (this.spare === null) {
      this.full = true;
      this.#events.full(error);
    }
    if (this.#closed) return;
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      if (this.#retiring.length > 0) this.#enqueue(() => this.#retireAll());
      this.want();
    }, SPOOL_LIMITS.fullRetryMs).unref();
  }

  #stock(segment: Segment): void {
    this.spare = segment;
    this.full = false;
    this.#events.ready();
  }

  #path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** A new file, zeros to its end: syncs into written space are several times cheaper than into a growing file. */
  async #make(): Promise<Segment> {
    const generation = this.#nextGeneration++;
    const making = this.#path(`${String(generation).padStart(8, '0')}.new`);
    const name = this.#path(segmentName(generation));
    let file: DiskFile | null = null;
    let path = making;
    try {
      await this.#writeZeros(making);
      file = await this.#disk.open(making, 'durable');
      await this.#disk.rename(making, name);
      path = name;
      await this.#disk.syncFolder(this.#folder);
      return new Segment(generation, newSalt(), file, this.#segmentBytes);
    } catch (error) {
      // Each try would leave a file, and a shortage is met again and again. The next start removes it, too.
      await file?.close().catch(() => {});
      await this.#disk.unlink(path).catch(() => {});
      throw error;
    }
  }

  async #writeZeros(path: string): Promise<void> {
    const file = await this.#disk.open(path, 'create');
    try {
      const zeros = Buffer.alloc(Math.min(SPOOL_LIMITS.zeroBytes, this.#segmentBytes));
      for (let at = 0; at < this.#segmentBytes; at += zeros.length) {
        await writeFully(file, zeros, 0, Math.min(zeros.length, this.#segmentBytes - at), at);
      }
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  async #recycle(segment: Segment): Promise<void> {
    const from = this.#path(segmentName(segment.generation));
    const generation = this.#nextGeneration++;
    await this.#disk.rename(from, this.#path(segmentName(generation)));
    // At once: where the sync falls short, the next try finds the file.
    segment.generation = generation;
    segment.salt = newSalt();
    // Before anything else retires: the marks that follow must never be gone while the messages are back.
    await this.#disk.syncFolder(this.#folder);
  }

  async #remove(segment: Segment): Promise<void> {
    const path = this.#path(segmentName(segment.generation));
    if (this.#leaving === segment) return await this.#disk.syncFolder(this.#folder);
    if (segment.damaged) await this.#disk.rename(path, `${path.slice(0, -'.seg'.length)}.damaged`);
    else await this.#disk.unlink(path);
    this.#leaving = segment;
    await this.#disk.syncFolder(this.#folder);
  }
}
