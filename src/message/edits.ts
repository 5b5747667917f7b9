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
  for (const { at, drop } of edits) {
    if (at < from || drop < 0 || at + drop > contentBytes) return false;
    from = at + drop;
  }
  return true;
}

/** Streams content through its edits. Chunks are views wherever nothing changes. */
export class Editor {
  readonly #edits: readonly Edit[];
  #next = 0;
  /** Content bytes seen, and bytes still to be dropped. */
  #offset = 0;
  #drop = 0;

  constructor(edits: readonly Edit[], contentBytes: number) {
    assert(areSound(edits, contentBytes), 'edits fit their content');
    this.#edits = edits;
  }

  /** What is to be sent for this chunk of content, in order. */
  apply(chunk: Uint8Array): Uint8Array[] {
    const out: Uint8Array[] = [];
    let at = 0;
    while (true) {
      if (this.#drop > 0) {
        const dropped = Math.min(this.#drop, chunk.length - at);
        at += dropped;
        this.#drop -= dropped;
        if (this.#drop > 0) break;
      }
      const edit = this.#edits[this.#next];
      if (edit === undefined || edit.at > this.#offset + chunk.length) break;
      // An edit at the very end of a chunk belongs to the next one, or to `end`.
      if (edit.at === this.#offset + chunk.length && chunk.length > 0) break;
      const to = edit.at - this.#offset;
      if (to > at) out.push(chunk.subarray(at, to));
      at = to;
      if (edit.insert !== '') out.push(encoder.encode(edit.insert));
      this.#drop = edit.drop;
      this.#next++;
    }
    if (at < chunk.length) out.push(at === 0 ? chunk : chunk.subarray(at));
    this.#offset += chunk.length;
    return out;
  }

  /** What is inserted behind the last byte. */
  end(): Uint8Array[] {
    const left = this.#edits.slice(this.#next).filter(({ insert }) => insert !== '');
    this.#next = this.#edits.length;
    return left.map(({ insert }) => encoder.encode(insert));
  }
}
