/** Edits over immutable content: what a message looks like when it leaves, without touching what is on disk. */
import { assert } from '../base/assert.ts';
import type { Edit } from './envelope.ts';

const encoder = new TextEncoder();

/** Bytes after all edits. `contentBytes` is the content's own size. */
export function editedBytes(contentBytes: number, edits: readonly Edit[]): number {
  let bytes = contentBytes;
  for (const { drop, insert } of edits) bytes += utf8Length(insert) - drop;
  return bytes;
}

function utf8Length(text: string): number {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return encoder.encode(text).length;
  return text.length;
}

/** Checks what was read from disk or made by a rule: in order, within the content, not overlapping. */
export function areSound(edits: readonly Edit[], contentBytes: number): boolean {
  let from = 0;
  for (const { at, drop, insert } of edits) {
    if (!Number.isSafeInteger(at) || !Number.isSafeInteger(drop) || typeof insert !== 'string') return false;
    if (at < from || drop < 0 || at + drop > contentBytes) return false;
    from = at + drop;
  }
  return true;
}

/**
 * Streams content through its edits, once: `apply` for each chunk in order, then `end`. What comes out are views of the
 * chunks wherever nothing changes.
 */
export class Editor {
  readonly #edits: readonly Edit[];
  readonly #contentBytes: number;
  /** The next edit whose place has not come. */
  #next = 0;
  /** Content bytes seen, and bytes still to be dropped. */
  #offset = 0;
  #drop = 0;

  constructor(edits: readonly Edit[], contentBytes: number) {
    assert(areSound(edits, contentBytes), 'edits fit their content');
    this.#edits = edits;
    this.#contentBytes = contentBytes;
  }

  /** What is to be sent for this chunk of content, in order. An edit at the chunk's very end waits for the next one. */
  apply(chunk: Uint8Array): Uint8Array[] {
    const out: Uint8Array[] = [];
    const chunkEnd = this.#offset + chunk.length;
    let at = this.#skip(chunk, 0);
    for (
      let edit = this.#edits[this.#next];
      edit !== undefined && edit.at < chunkEnd;
      edit = this.#edits[++this.#next]
    ) {
      const to = edit.at - this.#offset;
      if (to > at) out.push(chunk.subarray(at, to));
      if (edit.insert !== '') out.push(encoder.encode(edit.insert));
      this.#drop = edit.drop;
      at = this.#skip(chunk, to);
    }
    if (at < chunk.length) out.push(at === 0 ? chunk : chunk.subarray(at));
    this.#offset = chunkEnd;
    return out;
  }

  /** Drops what is to be dropped from `at` on, and says where it stopped: at its end, or the chunk's. */
  #skip(chunk: Uint8Array, at: number): number {
    const dropped = Math.min(this.#drop, chunk.length - at);
    this.#drop -= dropped;
    return at + dropped;
  }

  /** What is inserted behind the last byte. */
  end(): Uint8Array[] {
    // The other half of the spool's promise: a message that is cut short must never be sent as a whole one.
    assert(this.#offset === this.#contentBytes, 'the whole content has passed');
    const left = this.#edits.slice(this.#next).filter(({ insert }) => insert !== '');
    this.#next = this.#edits.length;
    return left.map(({ insert }) => encoder.encode(insert));
  }
}
