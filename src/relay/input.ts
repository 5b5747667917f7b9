/**
 * What was read from a client and is not yet understood: at most one read and one unfinished command line. Hands it out
 * as command lines or as octets, whichever the session is waiting for.
 *
 *   push ─► lent: a view of the connection's memory ─► line, feed, skip ─► keep: a copy of what is left, if anything
 */
import type { Arrival } from './arrival.ts';

const LF = 10;
const CR = 13;

/** `line`: it is in `text`. `bare`: ended by LF alone (RFC 5321 §2.3.8). `long`: not ended within bytesMax. */
export type Found = 'line' | 'bare' | 'long' | 'more';

export class Input {
  #bytes: Buffer | null = null;
  #at = 0;
  #lent = false;
  /** The last line, without its line end, one char per byte. */
  text = '';

  get empty(): boolean {
    return this.#bytes === null;
  }

  /** `keep` follows before the chunk's memory is used again. */
  push(chunk: Buffer): void {
    this.#lent = this.#bytes === null;
    this.#bytes = this.#bytes === null ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  keep(): void {
    if (this.#bytes === null || !this.#lent) return;
    this.#bytes = Buffer.from(this.#bytes.subarray(this.#at));
    this.#at = 0;
    this.#lent = false;
  }

  clear(): void {
    this.#bytes = null;
    this.#at = 0;
  }

  /** Takes the next command line; a `long` one stays, for `skipLine`, and `text` is how it begins. */
  line(bytesMax: number): Found {
    const bytes = this.#bytes!;
    const lf = bytes.indexOf(LF, this.#at);
    const start = this.#at;
    const end = lf === -1 ? bytes.length : lf + 1;
    if (end - start > bytesMax) {
      this.text = bytes.toString('latin1', start, start + 8);
      return 'long';
    }
    if (lf === -1) return 'more';
    this.#advance(end);
    if (lf === start || bytes[lf - 1] !== CR) return 'bare';
    this.text = bytes.toString('latin1', start, lf - 1);
    return 'line';
  }

  /** Drops bytes up to the end of a line; true when it was reached. */
  skipLine(): boolean {
    const lf = this.#bytes!.indexOf(LF, this.#at);
    this.#advance(lf === -1 ? this.#bytes!.length : lf + 1);
    return lf !== -1;
  }

  /** Drops up to `count` octets; returns how many. */
  skip(count: number): number {
    const skipped = Math.min(count, this.#bytes!.length - this.#at);
    this.#advance(this.#at + skipped);
    return skipped;
  }

  /** Hands at most `count` octets to a message. A promise means: no more until it resolves. */
  feed(arrival: Arrival, count: number): { readonly taken: number; readonly behind: Promise<void> | undefined } {
    const from = this.#at;
    const behind = arrival.feed(this.#bytes!, from, Math.min(this.#bytes!.length, from + count));
    this.#advance(arrival.end);
    return { taken: arrival.end - from, behind };
  }

  #advance(to: number): void {
    this.#at = to;
    if (to === this.#bytes!.length) this.clear();
  }
}
