/** A set of message numbers, one bit each; grows as numbers come. 10 million messages are 1.25 MB. */
export class Bitmap {
  #bits: Uint8Array;
  #size = 0;

  constructor(bits: Uint8Array = new Uint8Array(1024)) {
    this.#bits = bits;
    for (const byte of bits) this.#size += ones(byte);
  }

  /** How many numbers are in it. */
  get size(): number {
    return this.#size;
  }

  has(number: number): boolean {
    return ((this.#bits[number >>> 3] ?? 0) & (1 << (number & 7))) !== 0;
  }

  /** False where the number was there already. */
  add(number: number): boolean {
    const index = number >>> 3;
    if (index >= this.#bits.length) this.#grow(index);
    const before = this.#bits[index] ?? 0;
    const after = before | (1 << (number & 7));
    if (after === before) return false;
    this.#bits[index] = after;
    this.#size++;
    return true;
  }

  /** The numbers that are here and not in `other`, ascending. */
  minus(other: Bitmap): number[] {
    const missing: number[] = [];
    for (let index = 0; index < this.#bits.length; index++) {
      const only = (this.#bits[index] ?? 0) & ~(other.#bits[index] ?? 0);
      for (let bit = 0; only >> bit !== 0; bit++) if ((only >> bit) & 1) missing.push(index * 8 + bit);
    }
    return missing;
  }

  /** A copy, to be sent to another process. */
  bytes(): Uint8Array {
    return this.#bits.slice();
  }

  #grow(index: number): void {
    const bits = new Uint8Array(Math.max(this.#bits.length * 2, index + 1));
    bits.set(this.#bits);
    this.#bits = bits;
  }
}

function ones(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}
