/**
 * A stream of content, taken apart into header fields and the rest, for filters that want them one by one. Holds one
 * field at most, and of a huge one only its beginning.
 *
 *   push(bytes) ─► fields that are complete ─► … ─► the empty line ─► body: all that follows
 *
 * A line that is no field ends the section, too, and belongs to the body: mail programs show it so, and a filter must
 * not be led past what they show.
 */
import { LIMITS } from '../config/limits.ts';

/** `value` is what follows the colon, one char per byte, folds as CRLF, without the last line end. */
export type SplitField = { readonly name: string; readonly value: string };

const LF = 10;
const NAME = /^([\x21-\x39\x3b-\x7e]+)[ \t]*:/;
/** RFC 5322 §2.1.1 has 998 for a line; whoever has not come to the colon by then writes no field. */
const NAME_BYTES_MAX = 1000;

export class FieldSplitter {
  /** The lines of the field so far, and of the line that is being read as much as is kept. */
  #field = '';
  #line = '';
  #lineCut = false;
  #done = false;

  /** The header section has ended: from now on everything is body. */
  get done(): boolean {
    return this.#done;
  }

  /** Fields that `chunk` has completed. `before` and then `body` follow the section, null while it goes on. */
  push(chunk: Uint8Array): { fields: SplitField[]; before: string; body: Uint8Array | null } {
    const fields: SplitField[] = [];
    for (let at = 0; at < chunk.length; ) {
      const lf = chunk.indexOf(LF, at);
      const lineEnd = lf === -1 ? chunk.length : lf + 1;
      // What is no field must not be cut, so its first bytes are looked at alone.
      const to = this.#line.length < NAME_BYTES_MAX ? Math.min(lineEnd, at + NAME_BYTES_MAX) : lineEnd;
      this.#keep(chunk, at, to);
      at = to;
      const ended = to === lf + 1;
      if (!ended && this.#line.length < NAME_BYTES_MAX) continue;
      const before = this.#judgeLine(ended, fields);
      if (before !== null) return { fields, before, body: chunk.subarray(at) };
    }
    return { fields, before: '', body: null };
  }

  /** The content is over: what is left. A section may end without its empty line. */
  end(): { fields: SplitField[]; before: string } {
    const fields: SplitField[] = [];
    const before = this.#done || this.#line === '' ? '' : (this.#judgeLine(true, fields) ?? '');
    this.#complete(fields);
    this.#done = true;
    return { fields, before };
  }

  #keep(chunk: Uint8Array, from: number, to: number): void {
    const kept = Math.min(to - from, LIMITS.milterFieldBytesMax - this.#line.length);
    if (kept < to - from) this.#lineCut = true;
    this.#line += Buffer.from(chunk.buffer, chunk.byteOffset + from, kept).toString('latin1');
  }

  /** Null: the section goes on. Else its end is here, and this is what the body begins with. */
  #judgeLine(ended: boolean, fields: SplitField[]): string | null {
    const line = this.#line;
    const folded = this.#field !== '' && /^[ \t]/.test(line);
    if (folded || NAME.test(line)) {
      if (ended) this.#takeLine(folded, fields);
      return null;
    }
    this.#complete(fields);
    this.#done = true;
    this.#line = '';
    return line === '\r\n' || line === '\n' ? '' : line;
  }

  #takeLine(folded: boolean, fields: SplitField[]): void {
    const line = this.#lineCut ? `${this.#line.trimEnd()}\r\n` : this.#line;
    this.#line = '';
    this.#lineCut = false;
    if (!folded) {
      this.#complete(fields);
      this.#field = line;
    } else if (this.#field.length + line.length <= LIMITS.milterFieldBytesMax) this.#field += line;
  }

  #complete(fields: SplitField[]): void {
    const match = NAME.exec(this.#field);
    this.#field = '';
    if (match === null) return;
    const value = match.input.slice(match[0].length).replace(/\r?\n$/, '');
    fields.push({ name: match[1]!, value });
  }
}
