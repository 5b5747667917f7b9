/** Edits over immutable content: what a message looks like when it leaves, without touching what is on disk. */
import { assert } from '../base/assert.ts';
import { encodeUtf8, utf8Bytes } from '../base/text.ts';
import type { Edit } from './envelope.ts';

const NOTHING: readonly Uint8Array[] = [];

/** Bytes after all edits. `contentBytes` is the content's own size. */
export function editedBytes(contentBytes: number, edits: readonly Edit[]): number {
  let bytes = contentBytes;
  for (const { drop, insert } of edits) bytes += utf8Bytes(insert) - drop;
  return bytes;
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
 * Who changes a message, in the order in which what they insert at one place stands, and in which they win where two
 * change the same bytes. Who takes away goes before who rewrites: a field that is removed is not rewritten as well.
 *
 *   trace           our Received field, on top of all
 *   authentication  our Authentication-Results; those that others wrote in our name are removed
 *   tags            fields that rules add
 *   strip           parts that rules take out of the body
 *   firewall        fields that must not pass, and what is hidden in others
 *   filters         what outside filters add, change and remove
 *   rewrite         addresses
 *
 * Signatures are verified over content as it came, before any of this; whoever signs, signs what comes out.
 */
export const EDITORS = ['trace', 'authentication', 'tags', 'strip', 'firewall', 'filters', 'rewrite'] as const;
export type EditorName = (typeof EDITORS)[number];

/**
 * Edits of several editors as one list: in order, not overlapping, neighbours joined. Where edits of two overlap, that
 * of the earlier editor stands and the other is dropped whole; an insertion overlaps what drops the bytes on both sides
 * of it. Each list must be sound by itself. O(edits).
 */
export function composeEdits(proposals: Readonly<Partial<Record<EditorName, readonly Edit[]>>>): readonly Edit[] {
  let composed: readonly Edit[] = [];
  for (const editor of EDITORS) composed = merged(composed, proposals[editor] ?? []);
  return composed.length < 2 ? composed : joined(composed);
}

const endOf = ({ at, drop }: Edit): number => at + drop;
const overlap = (a: Edit, b: Edit): boolean => a.at < endOf(b) && b.at < endOf(a);

/** All of `first`, and of `second` what does not overlap it. Ends rise with places, so only neighbours can. */
function merged(first: readonly Edit[], second: readonly Edit[]): readonly Edit[] {
  if (second.length === 0) return first;
  if (first.length === 0) return second;
  const all: Edit[] = [];
  let next = 0;
  for (const edit of second) {
    for (let each = first[next]; each !== undefined && stands(each, edit); each = first[++next]) all.push(each);
    const [before, after] = [all.at(-1), first[next]];
    const free = (before === undefined || !overlap(before, edit)) && (after === undefined || !overlap(after, edit));
    if (free) all.push(edit);
  }
  return all.concat(first.slice(next));
}

/** Before the other: what is inserted at a place goes before what is dropped from there on. */
const stands = (each: Edit, other: Edit): boolean => each.at < other.at || (each.at === other.at && each.drop === 0);

function joined(edits: readonly Edit[]): readonly Edit[] {
  const all: Edit[] = [];
  for (const { at, drop, insert } of edits) {
    const last = all.at(-1);
    if (last === undefined || endOf(last) !== at) all.push({ at, drop, insert });
    else all[all.length - 1] = { at: last.at, drop: last.drop + drop, insert: last.insert + insert };
  }
  return all;
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
      if (edit.insert !== '') out.push(encodeUtf8(edit.insert));
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
  end(): readonly Uint8Array[] {
    // The other half of the spool's promise: a message that is cut short must never be sent as a whole one.
    assert(this.#offset === this.#contentBytes, 'the whole content has passed');
    if (this.#next === this.#edits.length) return NOTHING;
    const left = this.#edits.slice(this.#next).filter(({ insert }) => insert !== '');
    this.#next = this.#edits.length;
    return left.map(({ insert }) => encodeUtf8(insert));
  }
}
