/**
 * Content that stays when the chunk that it was read in is used again: one copy for all filters of a message, in pieces
 * of memory that go round. A copy left to the collector for each read were gigabytes, since it counts what is inside
 * the heap.
 *
 *   chunk ─► │ first piece: most mail fits in │ further ones: larger │ …     each holds on to its piece: whoever fills
 *                                                                           it, each filter that has not read it yet,
 *   pool ◄── the last one has let go                                        each that has, and may still be sending it
 *
 * Neighbours in one piece can be told as one: however small the spans are, few bytes are few pieces.
 */
import { assert } from '../base/assert.ts';
import { BufferPool } from '../base/buffer_pool.ts';

const FIRST_BYTES = 16_384;
const FURTHER_BYTES = 32_768;
/** 4 MiB, and 16 MiB: one for each of many sessions. */
const FIRST_KEPT_MAX = 256;
const FURTHER_KEPT_MAX = 512;

/** Of a shard. */
export class PiecePools {
  readonly first = new BufferPool(FIRST_BYTES, FIRST_KEPT_MAX);
  readonly further = new BufferPool(FURTHER_BYTES, FURTHER_KEPT_MAX);
}

/** Memory that several share. Who made it holds it, and everybody who holds it lets go once. */
export class Piece {
  readonly bytes: Buffer;
  readonly #pool: BufferPool | null;
  #holders = 1;
  #lost = false;

  /** Without a pool it is left to the collector. */
  constructor(bytes: Buffer, pool: BufferPool | null = null) {
    this.bytes = bytes;
    this.#pool = pool;
  }

  hold(): void {
    assert(this.#holders > 0, 'a piece is held by somebody who has it');
    this.#holders++;
  }

  /** `stillRead`: by a socket, for all that is known, so nobody may write to it any more. */
  letGo(stillRead = false): void {
    assert(this.#holders > 0, 'a piece is let go once by each who holds it');
    if (stillRead) this.#lost = true;
    this.#holders--;
    if (this.#holders > 0) return;
    if (this.#lost) this.#pool?.lost();
    else this.#pool?.give(this.bytes);
  }
}

/** The pieces of one message. */
export class ContentPieces {
  readonly #pools: PiecePools;
  #pool: BufferPool;
  #piece: Piece | null = null;
  #used = 0;

  constructor(pools: PiecePools) {
    this.#pools = pools;
    this.#pool = pools.first;
  }

  /** Copies chunk[from, to); `each` hears of every part of it and the piece that it is in. */
  write(chunk: Uint8Array, from: number, to: number, each: (piece: Piece, from: number, to: number) => void): void {
    for (let at = from; at < to; ) {
      this.#piece ??= this.#next();
      const { bytes } = this.#piece;
      const start = this.#used;
      const end = Math.min(start + to - at, bytes.length);
      bytes.set(chunk.subarray(at, at + end - start), start);
      at += end - start;
      this.#used = end;
      each(this.#piece, start, end);
      if (end === bytes.length) this.end();
    }
  }

  #next(): Piece {
    const piece = new Piece(this.#pool.take(), this.#pool);
    this.#pool = this.#pools.further;
    this.#used = 0;
    return piece;
  }

  /** Nothing more is written. */
  end(): void {
    this.#piece?.letGo();
    this.#piece = null;
  }
}
