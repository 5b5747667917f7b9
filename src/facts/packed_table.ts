/**
 * Small states by key, shared by all shards without a lock: nobody waits for anybody, and a thread that dies in the
 * middle leaves nothing half done. A state is one 64-bit word with its key's fingerprint, changed by compare-and-swap.
 *
 *   words of 32   buckets (a power of two), 1 zero, hash key (2), epoch (a double: milliseconds since 1970), 2 zero
 *   dirty         a bit a bucket: it has changed since somebody asked
 *   buckets       8 words of 64 each:  fingerprint (24) | state (40); 0: empty
 *
 * Where a bucket is full, the state of the least worth goes. That a key that is not there is taken for another has a
 * chance of 8 in 16 million; nobody can aim at it, for the hash has a secret.
 */
import { assert } from '../base/assert.ts';
import { SipHash } from '../base/sip_hash.ts';

const HEADER_BYTES = 32;
const WAYS = 8;
export const BUCKET_BYTES = WAYS * 8;
const STATE_BITS = 40n;
const STATE_MASK = (1n << STATE_BITS) - 1n;
export const STATE_MAX = 2 ** 40 - 1;

const dirtyBytes = (buckets: number): number => Math.max(buckets / 8, 8);

/** Room for at least so many states. `secret` is 8 bytes. */
export function packedTableMemory(statesMin: number, secret: Uint8Array, epochMs = 0): SharedArrayBuffer {
  const buckets = 2 ** Math.max(Math.ceil(Math.log2(statesMin / WAYS)), 0);
  const memory = new SharedArrayBuffer(HEADER_BYTES + dirtyBytes(buckets) + buckets * BUCKET_BYTES);
  const header = new Uint32Array(memory, 0, HEADER_BYTES / 4);
  header[0] = buckets;
  new Uint8Array(memory, 8, 8).set(secret);
  new Float64Array(memory, 16, 1)[0] = epochMs;
  return memory;
}

/** What becomes of a state; null: it stays as it is. `state` is null where the key has none. */
export type Change = (state: number | null) => number | null;

export class PackedTable {
  readonly buckets: number;
  readonly epochMs: number;
  readonly #words: BigUint64Array;
  readonly #dirty: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #hash: SipHash;
  readonly #worth: (state: number) => number;

  /** `worth` orders states: what is worth least goes first where there is no room. */
  constructor(memory: SharedArrayBuffer, worth: (state: number) => number) {
    const header = new Uint32Array(memory, 0, HEADER_BYTES / 4);
    this.buckets = header[0]!;
    this.epochMs = new Float64Array(memory, 16, 1)[0]!;
    const slotsAt = HEADER_BYTES + dirtyBytes(this.buckets);
    this.#dirty = new Int32Array(memory, HEADER_BYTES, dirtyBytes(this.buckets) / 4);
    this.#words = new BigUint64Array(memory, slotsAt, this.buckets * WAYS);
    this.#bytes = new Uint8Array(memory, slotsAt, this.buckets * BUCKET_BYTES);
    this.#hash = new SipHash(header[2]!, header[3]!);
    this.#worth = worth;
  }

  /** `change` may be called more than once, where another thread was faster. */
  update(key: string, change: Change): void {
    this.#hash.update(key);
    const bucket = this.#hash.low & (this.buckets - 1);
    const print = BigInt(this.#hash.high >>> 8 || 1);
    for (;;) {
      const { at, word, found } = this.#find(bucket * WAYS, print);
      const next = change(found ? Number(word & STATE_MASK) : null);
      if (next === null) return;
      assert(next >= 0 && next <= STATE_MAX, 'a state has 40 bits');
      if (Atomics.compareExchange(this.#words, at, word, (print << STATE_BITS) | BigInt(next)) !== word) continue;
      Atomics.or(this.#dirty, bucket >>> 5, 1 << (bucket & 31));
      return;
    }
  }

  /** The slot of this key, or the one where it would go. */
  #find(first: number, print: bigint): { readonly at: number; readonly word: bigint; readonly found: boolean } {
    let least = { at: first, word: 0n, found: false };
    let leastWorth = Number.POSITIVE_INFINITY;
    for (let at = first; at < first + WAYS; at++) {
      const word = Atomics.load(this.#words, at);
      if (word !== 0n && word >> STATE_BITS === print) return { at, word, found: true };
      const worth = word === 0n ? Number.NEGATIVE_INFINITY : this.#worth(Number(word & STATE_MASK));
      if (worth < leastWorth) {
        leastWorth = worth;
        least = { at, word, found: false };
      }
    }
    return least;
  }

  /** Buckets that have changed since the last call; each is told once. */
  *takeDirty(): Generator<number> {
    for (let at = 0; at < this.#dirty.length; at++) {
      if (Atomics.load(this.#dirty, at) === 0) continue;
      const bits = Atomics.exchange(this.#dirty, at, 0);
      for (let bit = 0; bit < 32; bit++) if ((bits & (1 << bit)) !== 0) yield at * 32 + bit;
    }
  }

  /** A copy, as it is kept on disk. */
  bucket(at: number): Uint8Array {
    return this.#bytes.slice(at * BUCKET_BYTES, (at + 1) * BUCKET_BYTES);
  }

  /** Puts back what `bucket` gave, before anybody else uses the table. */
  putBucket(at: number, bytes: Uint8Array): void {
    assert(at < this.buckets && bytes.length === BUCKET_BYTES, 'a bucket goes where one is');
    this.#bytes.set(bytes, at * BUCKET_BYTES);
  }
}
