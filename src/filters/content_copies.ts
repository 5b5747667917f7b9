/**
 * Content that stays when the chunk that it was read in is used again: one copy for all filters of a message.
 *
 *   │ small spans, side by side │  while there is room; else a new piece        │ a large span │  its own
 *
 * Neighbours in one piece of memory can be told as one: however small the spans are, few bytes are few pieces.
 */

/** Of this size a span is small; sixteen of them fit in a piece, so that little of it is left unused. */
const SMALL_BYTES_MAX = 1024;
const PIECE_BYTES = 16_384;

export type Copy = { readonly chunk: Uint8Array; readonly from: number; readonly to: number };

export class ContentCopies {
  #piece: Buffer | null = null;
  #used = 0;

  of(chunk: Uint8Array, from: number, to: number): Copy {
    const length = to - from;
    if (length > SMALL_BYTES_MAX) return { chunk: Buffer.from(chunk.subarray(from, to)), from: 0, to: length };
    if (this.#piece === null || this.#used + length > PIECE_BYTES) {
      this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      this.#used = 0;
    }
    const at = this.#used;
    this.#piece.set(chunk.subarray(from, to), at);
    this.#used += length;
    return { chunk: this.#piece, from: at, to: this.#used };
  }
}
