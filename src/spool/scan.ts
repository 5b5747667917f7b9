/**
 * Reads the records of one segment in order, and says where it had to stop.
 *
 *   header │ batch ─ padding │ batch ─ padding │ ... │ never written, or what an earlier life left
 *
 * Only one batch is ever in flight, so bytes that do not make sense are one of two things. A torn tail: a crash while
 * the last batch was written; nobody was told that it is durable, and it is cut. Or damage: some record that was
 * written later says (`durable`) that these bytes were on disk once. Then everything readable behind them counts.
 */
import type { DiskFile } from './disk.ts';
import { readFully } from './disk.ts';
import { SPOOL_LIMITS } from './limits.ts';
import type { Frame, SegmentHeader, SegmentLife } from './record.ts';
import {
  alignBlock,
  BLOCK_BYTES,
  decodeFrame,
  FRAME_HEADER_BYTES,
  frameBytesOf,
  peekRecord,
  RECORD_ALIGN_BYTES,
  RECORD_MAGIC_BYTES,
} from './record.ts';

/**
 * A window on a file: any part of it as a view, which is valid until the next call. Unreadable blocks read as zeros.
 */
export class Window {
  /** A block could not be read. */
  unreadable = false;
  readonly bytes: number;
  readonly #file: DiskFile;
  #buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;

  constructor(file: DiskFile, bytes: number) {
    this.#file = file;
    this.bytes = bytes;
  }

  /** File bytes [at, at + length), fewer at the end of the file. */
  async view(at: number, length: number): Promise<Buffer> {
    const end = Math.min(at + length, this.bytes);
    if (at < this.#from || end > this.#to) await this.#load(at, end - at);
    return this.#buffer.subarray(at - this.#from, end - this.#from);
  }

  /** Everything at hand from `at` on, at least one byte unless the file ends there. */
  async rest(at: number): Promise<Buffer> {
    if (at < this.#from || at >= this.#to) await this.#load(at, 1);
    return this.#buffer.subarray(at - this.#from, this.#to - this.#from);
  }

  async #load(at: number, length: number): Promise<void> {
    const from = Math.floor(at / BLOCK_BYTES) * BLOCK_BYTES;
    const need = alignBlock(at + length - from);
    const size = Math.min(Math.max(need, SPOOL_LIMITS.windowBytes), alignBlock(this.bytes - from));
    if (this.#buffer.length < size) this.#buffer = Buffer.allocUnsafeSlow(size);
    let read = 0;
    try {
      read = await readFully(this.#file, this.#buffer, 0, size, from);
    } catch {
      read = await this.#loadBlocks(from, size);
    }
    this.#from = from;
    this.#to = Math.min(from + read, this.bytes);
    // A file that is shorter than it was: what is missing reads as zeros, like what cannot be read.
    if (this.#to < at + length) {
      this.#buffer.fill(0, read, size);
      this.#to = Math.min(from + size, this.bytes);
    }
  }

  async #loadBlocks(from: number, size: number): Promise<number> {
    for (let at = 0; at < size; at += BLOCK_BYTES) {
      const end = Math.min(at + BLOCK_BYTES, size);
      this.#buffer.fill(0, at, end);
      try {
        await readFully(this.#file, this.#buffer, at, end, from + at);
      } catch {
        this.unreadable = true;
        this.#buffer.fill(0, at, end);
      }
    }
    return size;
  }
}

/** A record as found: `meta` is a copy. */
export type Found = { readonly frame: Frame; readonly at: number; readonly meta: Buffer };

export type Gap = { readonly at: number; readonly sequence: number };

export type ScanResult = {
  /** Sequence of the last record that counts. */
  readonly last: number;
  /** Highest sequence that a counting record calls durable. */
  readonly durable: number;
  /** Where a torn batch was cut off. */
  readonly torn: number | null;
  /** Damage: places that had been durable and are not readable. */
  readonly gaps: readonly Gap[];
};

export type ScanLimits = {
  readonly life: SegmentLife;
  /** Where to begin, a block's offset, and the sequence of the first record from there on. */
  readonly at: number;
  readonly sequence: number;
  /** Header of the next segment that was written to: its firstSequence makes ours from there on void. */
  readonly next: SegmentHeader | null;
};

/** `apply` is called for each record that counts, in order of sequence. */
export async function scanSegment(
  window: Window,
  limits: ScanLimits,
  apply: (found: Found) => void,
): Promise<ScanResult> {
  const { life, next } = limits;
  const limit = next === null ? Number.POSITIVE_INFINITY : next.firstSequence;
  let { sequence } = limits;
  let durable = 0;
  let { at } = limits;
  while (sequence < limit) {
    let found = await readRecord(window, at, life);
    // A batch ends somewhere in a block; the next one begins with a block.
    if (found === null && at !== alignBlock(at)) {
      at = alignBlock(at);
      found = await readRecord(window, at, life);
    }
    if (found === null || found.frame.sequence !== sequence) break;
    apply(found);
    durable = Math.max(durable, found.frame.durable);
    at += frameBytesOf(found.frame.metaBytes, found.frame.contentBytes);
    sequence++;
  }
  const clean = { last: sequence - 1, durable, torn: null, gaps: [] };
  if (sequence >= limit) return clean;
  const rest = await findLater(window, at, life, sequence, limit);
  const witnesses = rest.found.map(({ frame }) => frame.durable);
  if (next !== null) witnesses.push(next.durable);
  if (witnesses.some((witness) => witness >= sequence)) return salvage(rest.found, sequence, durable, at, limit, apply);
  return { ...clean, torn: rest.begun || rest.found.length > 0 ? at : null };
}

/** Behind damage: whatever is whole counts, and each jump of the sequence is a gap. */
function salvage(
  found: readonly Found[],
  first: number,
  durableBefore: number,
  gapAt: number,
  limit: number,
  apply: (found: Found) => void,
): ScanResult {
  const gaps: Gap[] = [];
  let durable = durableBefore;
  for (const { frame } of found) durable = Math.max(durable, frame.durable);
  let sequence = first;
  let at = gapAt;
  for (const record of found) {
    const { frame } = record;
    if (frame.sequence < sequence) continue;
    if (frame.sequence > sequence) {
      // Past the last witness a gap is a torn batch again: what follows it was never promised.
      if (sequence > durable && limit === Number.POSITIVE_INFINITY) {
        return { last: sequence - 1, durable, torn: at, gaps };
      }
      gaps.push({ at, sequence });
    }
    apply(record);
    sequence = frame.sequence + 1;
    at = record.at + frameBytesOf(frame.metaBytes, frame.contentBytes);
  }
  if (sequence < limit && limit !== Number.POSITIVE_INFINITY) gaps.push({ at, sequence });
  return { last: sequence - 1, durable, torn: null, gaps };
}

async function readRecord(window: Window, at: number, life: SegmentLife): Promise<Found | null> {
  const head = await window.view(at, FRAME_HEADER_BYTES);
  if (head.length < FRAME_HEADER_BYTES) return null;
  const bytes = peekRecord(head, 0, life);
  if (bytes === 0 || at + bytes > window.bytes) return null;
  const whole = await window.view(at, bytes);
  const frame = decodeFrame(whole, 0);
  if (frame === null) return null;
  return { frame, at, meta: Buffer.from(whole.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + frame.metaBytes)) };
}

/**
 * Whole records of this life of the segment from `from` on, wherever they begin; and whether any begin at all. Content
 * may hold bytes that look like a record, but not with this segment's salt.
 */
async function findLater(
  window: Window,
  from: number,
  life: SegmentLife,
  sequence: number,
  limit: number,
): Promise<{ found: Found[]; begun: boolean }> {
  const found: Found[] = [];
  let begun = false;
  let at = from;
  while (at + FRAME_HEADER_BYTES <= window.bytes) {
    const bytes = await window.rest(at);
    const hit = bytes.indexOf(RECORD_MAGIC_BYTES);
    // The magic may lie across the window's end.
    if (hit < 0) {
      at += Math.max(bytes.length - RECORD_MAGIC_BYTES.length + 1, 1);
      continue;
    }
    at += hit;
    const record = at % RECORD_ALIGN_BYTES === 0 ? await readRecord(window, at, life) : null;
    if (record !== null && record.frame.sequence >= sequence && record.frame.sequence < limit) {
      found.push(record);
      at += frameBytesOf(record.frame.metaBytes, record.frame.contentBytes);
      continue;
    }
    const head = await window.view(at, FRAME_HEADER_BYTES);
    if (head.length === FRAME_HEADER_BYTES && peekRecord(head, 0, life) > 0) begun = true;
    at += RECORD_MAGIC_BYTES.length;
  }
  return { found, begun };
}
