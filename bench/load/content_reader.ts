/**
 * One message's content as the sink takes it off the wire: finds the end of data, undoes dot transparency
 * (RFC 5321 §4.5.2), finds the stamp in the header and checks what follows it against the stamp's CRC-32. Holds no
 * content unless asked to; at most four bytes wait for the next chunk, and the head until the stamp is there.
 *
 * End of data is CRLF.CRLF and nothing else: a relay that ends a message by anything less loses its end here, and
 * that shows as an altered message.
 */
import { crc32 } from 'node:zlib';
import { findStamp, readStamp, STAMP_BYTES, type Stamp } from './stamp.ts';

const CR = 13;
const LF = 10;
const DOT = 46;
const LINE_DOT = Buffer.from('\r\n.');
const HEAD_BYTES_MAX = 1 << 20;
const NOTHING = Buffer.alloc(0);

export type Arrived = {
  readonly bytes: number;
  readonly stamp: Stamp | undefined;
  /** Everything after the stamp's line is as it was sent. False without a stamp. */
  readonly intact: boolean;
  /** What stands above the stamp's line: header fields that were put on top. Empty without a stamp. */
  readonly above: Buffer;
  /** The whole content, where the reader was told to keep it and it is not too large. */
  readonly content: Buffer | undefined;
};

export class ContentReader {
  readonly #keptBytesMax: number;
  #kept: Buffer[] = [];
  #held: Buffer = NOTHING;
  #atStart = true;
  #head: Buffer | undefined = NOTHING;
  #stamp: Stamp | undefined;
  #above: Buffer = NOTHING;
  #bytes = 0;
  #stampedBytes = 0;
  #crc = 0;

  /** Of more than `keptBytesMax` bytes nothing is kept; 0: of no message. */
  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** Reads DATA content from `at` on. The index behind the end of data, or -1 where it is still to come. */
  data(chunk: Buffer, at: number): number {
    const heldBytes = this.#held.length;
    const fresh = at === 0 ? chunk : chunk.subarray(at);
    const text = heldBytes === 0 ? fresh : Buffer.concat([this.#held, fresh]);
    this.#held = NOTHING;
    const end = this.#unstuff(text);
    return end === -1 ? -1 : at + end - heldBytes;
  }

  /** Reads BDAT content, which has no dots to undo (RFC 3030 §2). */
  bdat(chunk: Buffer, from: number, to: number): void {
    this.#take(chunk, from, to);
  }

  /** What arrived; the reader is then ready for the next message. */
  finish(): Arrived {
    const stamp = this.#stamp;
    const arrived: Arrived = {
      bytes: this.#bytes,
      stamp,
      intact: stamp !== undefined && stamp.bytes === this.#stampedBytes && stamp.crc === this.#crc,
      above: this.#above,
      content: this.#keptBytesMax > 0 && this.#bytes <= this.#keptBytesMax ? Buffer.concat(this.#kept) : undefined,
    };
    this.#kept = [];
    this.#held = NOTHING;
    this.#atStart = true;
    this.#head = NOTHING;
    this.#stamp = undefined;
    this.#above = NOTHING;
    this.#bytes = 0;
    this.#stampedBytes = 0;
    this.#crc = 0;
    return arrived;
  }

  #unstuff(text: Buffer): number {
    let from = 0;
    if (this.#atStart) {
      if (text.length < 3 && '.\r\n'.startsWith(text.toString('latin1'))) return this.#hold(text, 0, 0);
      if (text[0] === DOT) {
        if (text[1] === CR && text[2] === LF) return 3;
        from = 1;
      }
      this.#atStart = false;
    }
    for (let search = from; ; search = from) {
      const hit = text.indexOf(LINE_DOT, search);
      if (hit === -1) break;
      const next = text[hit + 3];
      if (next === undefined || (next === CR && hit + 4 === text.length)) return this.#hold(text, from, hit);
      this.#take(text, from, hit + 2);
      if (next === CR && text[hit + 4] === LF) return hit + 5;
      from = hit + 3;
    }
    let to = text.length;
    if (to > from && text[to - 1] === CR) to -= 1;
    else if (to > from + 1 && text[to - 1] === LF && text[to - 2] === CR) to -= 2;
    return this.#hold(text, from, to);
  }

  /** Takes what is certain and keeps what may be the beginning of the end of data. */
  #hold(text: Buffer, from: number, to: number): -1 {
    this.#take(text, from, to);
    this.#held = to === text.length ? NOTHING : Buffer.from(text.subarray(to));
    return -1;
  }

  #take(text: Buffer, from: number, to: number): void {
    if (to <= from) return;
    this.#bytes += to - from;
    const part = text.subarray(from, to);
    if (this.#keptBytesMax > 0) this.#keep(part);
    if (this.#stamp !== undefined) this.#check(part);
    else if (this.#head !== undefined) this.#seek(part);
  }

  #keep(part: Buffer): void {
    if (this.#bytes <= this.#keptBytesMax) this.#kept.push(part);
    else this.#kept = [];
  }

  #check(part: Buffer): void {
    this.#crc = crc32(part, this.#crc);
    this.#stampedBytes += part.length;
  }

  /** The stamp counts only in the header: a report that quotes a stamped message is not that message. */
  #seek(part: Buffer): void {
    const head = this.#head === undefined || this.#head.length === 0 ? part : Buffer.concat([this.#head, part]);
    const at = findStamp(head);
    const header = at === -1 ? head : head.subarray(0, at);
    if (header.indexOf('\r\n\r\n') !== -1 || header.length > HEAD_BYTES_MAX) {
      this.#head = undefined;
      return;
    }
    if (at === -1) {
      this.#head = head;
      return;
    }
    this.#head = undefined;
    this.#stamp = readStamp(head, at);
    if (this.#stamp === undefined) return;
    this.#above = header;
    this.#check(head.subarray(at + STAMP_BYTES));
  }
}
