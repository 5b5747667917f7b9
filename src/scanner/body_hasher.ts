/**
 * Body hashes of DKIM (RFC 6376 §3.7) while the body streams, one for each distinct pair of canonicalisation and
 * length: all algorithms that may still be verified hash with SHA-256 (RFC 8301 §3.1, RFC 8463 §3).
 *
 *   body ─┬─ simple:  spans as they are, line ends at the end held back ─┬─► hash of the first l= bytes
 *         └─ relaxed: through the relaxer, once                          ├─► hash of another length
 *                                                                        └─► hash of all
 *
 * Memory: the states of the hashes, and 4 KiB where the body comes in small pieces (dots that are unstuffed): a piece
 * of some bytes must not cost a call of the hash each.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import type { Relaxer } from './relaxer.ts';
import { RELAXED, RELAXED_SLOTS } from './relaxer.ts';

export type Canonicalisation = 'simple' | 'relaxed';

/** `bytesMax`: l= of the signature (RFC 6376 §3.5), Infinity without. */
export type WantedHash = { readonly body: Canonicalisation; readonly bytesMax: number };

export type BodyHash = {
  /** In base64, as bh= has it. */
  readonly digest: string;
  /** The canonical body has fewer bytes than l= promises, as many, or more: the rest is not covered. */
  readonly covers: 'short' | 'all' | 'part';
};

const GATHERED_BYTES = 4096;
const SMALL_BYTES = 1024;
const CR = 13;
const LF = 10;
const CRLF = Buffer.from('\r\n');
/** Line ends that were held back and turned out to be within the body. */
const LINE_ENDS = Buffer.from('\r\n'.repeat(2048));
/** One for all: it is read before the next call. */
const relaxedOut = new Uint8Array(65_536 + 64);

/** A hash of the first `bytesMax` canonical bytes. */
class Lane {
  readonly #hash = createHash('sha256');
  readonly #body: Canonicalisation;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor({ body, bytesMax }: WantedHash) {
    this.#body = body;
    this.#bytesMax = bytesMax;
  }

  serves({ body, bytesMax }: WantedHash): boolean {
    return body === this.#body && bytesMax === this.#bytesMax;
  }

  update(bytes: Uint8Array): void {
    const room = this.#bytesMax - this.#bytes;
    if (room >= bytes.length) this.#hash.update(bytes);
    else if (room > 0) this.#hash.update(bytes.subarray(0, room));
    this.#bytes += bytes.length;
  }

  end(): BodyHash {
    const covers = this.#bytes > this.#bytesMax ? 'part' : this.#bytes === this.#bytesMax ? 'all' : 'short';
    return { digest: this.#hash.digest('base64'), covers: this.#bytesMax === Infinity ? 'all' : covers };
  }
}

export class BodyHasher {
  readonly #relaxer: Relaxer;
  /** A few: whoever wants hashes has a bound for them (LIMITS.dkimBodyHashesMax). */
  readonly #lanes: Lane[] = [];
  readonly #simple: Lane[] = [];
  readonly #relaxed: Lane[] = [];
  readonly #state = new Int32Array(RELAXED_SLOTS);
  /** Bytes of "\r\n\r\n…" that simple canonicalisation holds back, half a line end included. */
  #heldBytes = 0;
  #gathered: Buffer | null = null;
  #gatheredBytes = 0;

  constructor(relaxer: Relaxer, wanted: readonly WantedHash[]) {
    this.#relaxer = relaxer;
    for (const each of wanted) {
      if (this.#lanes.some((lane) => lane.serves(each))) continue;
      const lane = new Lane(each);
      this.#lanes.push(lane);
      (each.body === 'simple' ? this.#simple : this.#relaxed).push(lane);
    }
  }

  /** The body, in order. Keeps no reference to `chunk`. */
  write(chunk: Uint8Array, from: number, to: number): void {
    if (this.#lanes.length === 0) return;
    const bytes = to - from;
    if (bytes >= SMALL_BYTES || this.#gatheredBytes + bytes > GATHERED_BYTES) this.#release();
    if (bytes >= SMALL_BYTES) this.#take(chunk, from, to);
    else this.#gather(chunk, from, to);
  }

  /** After the last byte, once: the hash of each pair that was wanted. */
  end(): (wanted: WantedHash) => BodyHash {
    this.#release();
    // RFC 6376 §3.4.3: whatever stands there, a body ends in one CRLF; §3.4.4: but for one that is empty.
    for (const lane of this.#simple) lane.update(CRLF);
    if (this.#state[RELAXED.begun] !== 0) for (const lane of this.#relaxed) lane.update(CRLF);
    const hashes = this.#lanes.map((lane) => lane.end());
    return (wanted) => {
      const hash = hashes[this.#lanes.findIndex((lane) => lane.serves(wanted))];
      assert(hash !== undefined, 'only hashes that were wanted are asked for');
      return hash;
    };
  }

  #gather(chunk: Uint8Array, from: number, to: number): void {
    this.#gathered ??= Buffer.allocUnsafe(GATHERED_BYTES);
    this.#gathered.set(chunk.subarray(from, to), this.#gatheredBytes);
    this.#gatheredBytes += to - from;
  }

  #release(): void {
    const bytes = this.#gatheredBytes;
    this.#gatheredBytes = 0;
    if (bytes > 0) this.#take(this.#gathered!, 0, bytes);
  }

  #take(chunk: Uint8Array, from: number, to: number): void {
    if (this.#simple.length > 0) this.#takeSimple(chunk, from, to);
    if (this.#relaxed.length === 0) return;
    for (let at = from; at < to; ) {
      at = this.#relaxer.relax(chunk, at, to, this.#state, relaxedOut);
      const written = this.#state[RELAXED.written]!;
      if (written > 0) for (const lane of this.#relaxed) lane.update(relaxedOut.subarray(0, written));
    }
  }

  /** All but the line ends at the end, which come when something follows them. */
  #takeSimple(chunk: Uint8Array, from: number, to: number): void {
    let start = from;
    while (start < to && chunk[start] === (this.#heldBytes % 2 === 0 ? CR : LF)) {
      this.#heldBytes++;
      start++;
    }
    if (start === to) return;
    let end = to;
    if (chunk[end - 1] === CR) end--;
    while (end - 2 >= start && chunk[end - 1] === LF && chunk[end - 2] === CR) end -= 2;
    for (const lane of this.#simple) {
      for (let left = this.#heldBytes; left > 0; left -= LINE_ENDS.length)
        lane.update(LINE_ENDS.subarray(0, Math.min(left, LINE_ENDS.length)));
      if (end > start) lane.update(chunk.subarray(start, end));
    }
    this.#heldBytes = to - end;
  }
}
