/**
 * Buffers of one size that go round: whoever takes one gives it back when nobody reads from it any more. Left to the
 * collector they would lie about by the dozen, since it counts what is inside the heap.
 */
import { assert } from './assert.ts';

export class BufferPool {
  readonly #bytes: number;
  readonly #keptMax: number;
  readonly #kept: Buffer[] = [];
  #taken = 0;

  constructor(bytes: number, keptMax: number) {
    this.#bytes = bytes;
    this.#keptMax = keptMax;
  }

  /** Out, and neither back nor lost. */
  get taken(): number {
    return this.#taken;
  }

  /** More are out than will be kept: whoever has several should do with one. */
  get scarce(): boolean {
    return this.#taken > this.#keptMax;
  }

  take(): Buffer {
    this.#taken++;
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  /** One that somebody may still read from does not come back. */
  lost(): void {
    assert(this.#taken > 0, 'what is lost has been taken');
    this.#taken--;
  }

  give(buffer: Buffer): void {
    assert(buffer.length === this.#bytes && this.#taken > 0, 'a buffer goes back to where it was taken');
    this.#taken--;
    if (this.#kept.length < this.#keptMax) this.#kept.push(buffer);
  }
}
