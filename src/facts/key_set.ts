/**
 * A set of 64-bit keys in shared memory, each with an expiry: filled once on one thread, then read by all. Ten million
 * keys are 160 MB, and cost no more than that however long their texts are.
 *
 *   word 0..7   capacity, count, hash key (2), marks (MARKS)
 *   then slots  low, high, expiry (seconds since 1970; 0: never)      open addressing, at most three quarters full
 *
 * A key is a keyed hash of a text (base/sip_hash.ts), or a hash that somebody else has made. That two of ten million
 * texts share one has a chance of one in 370,000.
 */
import { assert } from '../base/assert.ts';
import { randomSecret } from '../base/random.ts';
import { SipHash } from '../base/sip_hash.ts';

/** 16 words: capacity, count, two of the key, and what is known of the keys in it: bits that its owner sets. */
const HEADER_WORDS = 16;
const MARKS_AT = 4;
const MARKS_MAX = (HEADER_WORDS - MARKS_AT) * 32;
const SLOT_WORDS = 3;
const FILL_MAX = 0.75;

/** Room for so many keys; nobody reads it before whoever fills it has handed it over. */
export function keySetMemory(keysMax: number): SharedArrayBuffer {
  const capacity = Math.ceil(keysMax / FILL_MAX) + 1;
  const memory = new SharedArrayBuffer((HEADER_WORDS + capacity * SLOT_WORDS) * 4);
  const words = new Uint32Array(memory);
  words[0] = capacity;
  words.set(new Uint32Array(randomSecret(8).buffer), 2);
  return memory;
}

export class KeySet {
  readonly #words: Uint32Array;
  readonly #hash: SipHash;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Uint32Array(memory);
    this.#hash = new SipHash(this.#words[2]!, this.#words[3]!);
  }

  get count(): number {
    return this.#words[1]!;
  }

  get keysMax(): number {
    return Math.floor((this.#words[0]! - 1) * FILL_MAX);
  }

  mark(bit: number): void {
    assert(bit < MARKS_MAX, 'there are so many marks');
    this.#words[MARKS_AT + (bit >>> 5)]! |= 1 << (bit & 31);
  }

  marked(bit: number): boolean {
    return (this.#words[MARKS_AT + (bit >>> 5)]! & (1 << (bit & 31))) !== 0;
  }

  add(text: string, expirySeconds = 0): void {
    this.#hash.update(text);
    this.addKey(this.#hash.low, this.#hash.high, expirySeconds);
  }

  has(text: string, nowSeconds: number): boolean {
    this.#hash.update(text);
    return this.hasKey(this.#hash.low, this.#hash.high, nowSeconds);
  }

  /** Of two expiries the later one holds. */
  addKey(low: number, high: number, expirySeconds = 0): void {
    const words = this.#words;
    const at = this.#slotOf(low, high);
    if (words[at] === 0 && words[at + 1] === 0) {
      assert(words[1]! < this.keysMax, 'a set has room for what it was made for');
      words[1]!++;
      words[at] = low === 0 && high === 0 ? 1 : low;
      words[at + 1] = high;
      words[at + 2] = expirySeconds;
    } else if (words[at + 2] !== 0 && (expirySeconds === 0 || expirySeconds > words[at + 2]!)) {
      words[at + 2] = expirySeconds;
    }
  }

  hasKey(low: number, high: number, nowSeconds: number): boolean {
    const words = this.#words;
    const at = this.#slotOf(low, high);
    if (words[at] === 0 && words[at + 1] === 0) return false;
    return words[at + 2] === 0 || words[at + 2]! > nowSeconds;
  }

  /** Where this key is, or the empty slot where it goes. No key is twice zero: that is an empty slot. */
  #slotOf(low: number, high: number): number {
    const words = this.#words;
    const capacity = words[0]!;
    const first = low === 0 && high === 0 ? 1 : low;
    let slot = Math.floor((first / 2 ** 32) * capacity);
    for (;;) {
      const at = HEADER_WORDS + slot * SLOT_WORDS;
      if (words[at] === first && words[at + 1] === high) return at;
      if (words[at] === 0 && words[at + 1] === 0) return at;
      if (++slot === capacity) slot = 0;
    }
  }
}
