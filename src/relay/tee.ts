/**
 * Content on its way into the draft, and past everybody who looks at it meanwhile; the slowest of them sets the pace.
 */
import type { ContentSink } from '../scanner/decode.ts';

/** Who looks at content while it arrives: as it will be in the journal, in order. */
export interface ContentTap {
  /** The bytes are there during the call only. A promise: send no more until it resolves. */
  write(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined;
  /** Nobody wants the rest: the message will not pass, or will be thrown away, whatever else comes. */
  readonly over: boolean;
  /** The message is not coming. */
  abort(): void;
}

export class Tee implements ContentSink {
  readonly #draft: ContentSink;
  readonly #taps: readonly ContentTap[];

  constructor(draft: ContentSink, taps: readonly ContentTap[]) {
    this.#draft = draft;
    this.#taps = taps;
  }

  write(chunk: Uint8Array, from: number, to: number): Promise<void> | undefined {
    let wait = this.#draft.write(chunk, from, to);
    for (const tap of this.#taps) wait = both(wait, tap.write(chunk, from, to));
    return wait;
  }

  writeText(text: string): void {
    this.#draft.writeText(text);
    const bytes = Buffer.from(text, 'latin1');
    // A few bytes: whoever is behind says so again with the next chunk.
    for (const tap of this.#taps) void tap.write(bytes, 0, bytes.length);
  }
}

function both(one: Promise<void> | undefined, other: Promise<void> | undefined): Promise<void> | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Promise.all([one, other]).then(() => {});
}
