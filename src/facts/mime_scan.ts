/**
 * A message's parts while it streams by: where each begins and ends, byte for byte, and the header of each, but never
 * its body. MIME libraries split a message to put it together again, by lines and without offsets (mailsplit: 0.5 ms
 * for 5 KB, 250 ms for 10 MB). Here the bytes stay what they are, and most are passed over by a native search for what
 * may be a delimiter (RFC 2046 §5.1): 0.03 ms and 4 ms.
 *
 *   header of the message      part 0, or a leaf
 *   --b                        ─┐ delimiter; the CRLF before it is its own
 *   header                     start
 *                              bodyStart
 *   body                       end
 *   --b--                      ─┘
 *
 * Everything is bounded: what goes beyond is a fault, and is not looked into further. Faults are words of
 * `MIME_FAULTS`.
 */
import { LIMITS } from '../config/limits.ts';

/** What its header says of a part, as far as the scan needs it. */
export type Described = {
  /** Of a multipart; null where it has none. */
  readonly boundary: string | null;
  readonly kind: 'multipart' | 'message' | 'leaf';
};

export type Span = {
  readonly start: number;
  readonly bodyStart: number;
  readonly end: number;
  /** The CRLF of a delimiter follows. Not where the content ends here, or where a header's line end serves for both. */
  readonly delimited: boolean;
};

/** Hears of parts in the order of their headers; of their ends in any. */
export interface PartsListener {
  /** `header`: one char per byte, cut at the limit. `index`: 0 is the message itself. */
  onHeader(index: number, header: string, depth: number): Described;
  /** A leaf, or the whole of what was not looked into. */
  onEnd(index: number, span: Span): void;
  onFault(fault: MimeFault): void;
}

export const MIME_FAULTS = {
  'long-header': 'a header of a part is larger than we look at',
  'no-field': 'a line in a header is no field',
  'cut-header': 'a delimiter stands within a header',
  'no-boundary': 'a multipart does not say its boundary, or not what may be one',
  'no-parts': 'a multipart has none',
  'same-boundary': 'a multipart has the boundary of one round it',
  'odd-delimiter': 'a line begins like a delimiter and is none',
  unclosed: 'a multipart does not end',
  'too-deep': 'parts within parts beyond the limit; they are not looked into',
  'too-many-parts': 'the parts beyond the limit are not looked into',
  'too-many-names': 'the names beyond the limit are not told',
  'encoded-multipart': 'a multipart or message is encoded as a whole (RFC 2045 §6.4), and not looked into',
  'duplicate-field': 'a header has Content-Type, Content-Disposition or the encoding twice',
  'duplicate-name': 'a part has two different names',
  'long-value': 'a value is longer than we look at',
  undecodable: 'a name cannot be decoded',
  'name-control': 'a name has control characters',
  'name-direction': 'a name turns the direction of writing, so that another extension is seen',
  'name-trailing': 'a name ends in dots or blanks, which some systems drop',
  'name-double': 'a name has two extensions, as report.pdf.exe',
} as const satisfies Record<string, string>;
export type MimeFault = keyof typeof MIME_FAULTS;

type Open = { readonly boundary: string; readonly depth: number; parts: number };
type Leaf = { readonly index: number; readonly start: number; readonly bodyStart: number };

const LF = 10;
const DASH = 45;
const NEEDLE = Buffer.from('\n--');
/** RFC 2046 §5.1.1: 70, and four dashes; with room for blanks behind. */
const DELIMITER_CHARS_MAX = 256;

export class MimeScan {
  readonly #listener: PartsListener;
  #mode: 'header' | 'body' = 'header';
  /** Content bytes before the chunk. */
  #offset = 0;
  /** How the present line begins, as far as it matters; null: nothing does up to one that begins with dashes. */
  #line: string | null = '';
  #lineAt = 0;
  #header = '';
  #headerIsLong = false;
  #headerAt = 0;
  #depth = 0;
  /** Multiparts that are open, the innermost last. */
  readonly #open: Open[] = [];
  #leaf: Leaf | null = null;
  #parts = 0;
  #tooManyParts = false;

  constructor(listener: PartsListener) {
    this.#listener = listener;
  }

  /** chunk[from, to) of the content, in order. */
  write(chunk: Uint8Array, from: number, to: number): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset + from, to - from);
    let at = 0;
    while (at < bytes.length) {
      if (this.#mode === 'body' && this.#line === '' && bytes[at] !== DASH) this.#line = null;
      at = this.#line === null ? this.#search(bytes, at) : this.#read(bytes, at, this.#line);
    }
    this.#offset += bytes.length;
  }

  end(): void {
    const line = this.#line ?? '';
    if (line !== '') this.#lineRead(line, this.#lineAt, this.#offset);
    while (this.#mode === 'header') this.#headerEnds(this.#offset);
    this.#leafEnds(this.#offset, false);
    for (let open = this.#open.pop(); open !== undefined; open = this.#open.pop()) this.#multipartEnds(open, false);
  }

  /** To the start of the next line in a body that begins with dashes, or to the end of the chunk. */
  #search(bytes: Buffer, at: number): number {
    const end = bytes.length;
    if (this.#open.length === 0) return end; // no delimiter can come any more
    const found = bytes.indexOf(NEEDLE, at);
    if (found !== -1) return this.#lineBegins(found + 1, '', found + 1);
    if (bytes[end - 1] === LF) return this.#lineBegins(end, '', end);
    if (bytes[end - 1] === DASH && end - 2 >= at && bytes[end - 2] === LF) return this.#lineBegins(end - 1, '-', end);
    return end;
  }

  #lineBegins(at: number, line: string, next: number): number {
    this.#lineAt = this.#offset + at;
    this.#line = line;
    return next;
  }

  /** The line, or what there is of it; `line` is how it began. */
  #read(bytes: Buffer, at: number, line: string): number {
    const lf = bytes.indexOf(LF, at);
    const end = lf === -1 ? bytes.length : lf + 1;
    const charsMax = this.#mode === 'header' ? LIMITS.mimeHeaderBytesMax : DELIMITER_CHARS_MAX;
    const text = line + bytes.toString('latin1', at, Math.min(end, at + Math.max(0, charsMax - line.length)));
    if (lf !== -1) {
      const lineAt = this.#lineAt;
      this.#lineBegins(end, '', end);
      this.#lineRead(text, lineAt, this.#offset + end);
    } else this.#line = this.#mode === 'header' || text === '-' || text.startsWith('--') ? text : null;
    return end;
  }

  /** `next` is the offset behind the line, which may be longer than its text. */
  #lineRead(text: string, lineAt: number, next: number): void {
    if (text.startsWith('--') && this.#isDelimiter(text, lineAt, next)) return;
    if (this.#mode === 'body') return;
    if (text === '\r\n' || text === '\n') this.#headerEnds(next);
    else if (this.#header.length + next - lineAt > LIMITS.mimeHeaderBytesMax) this.#longHeader();
    else this.#header += text;
  }

  #longHeader(): void {
    if (!this.#headerIsLong) this.#listener.onFault('long-header');
    this.#headerIsLong = true;
  }

  #isDelimiter(line: string, lineAt: number, next: number): boolean {
    const text = line.slice(2).trimEnd();
    let odd = false;
    for (let index = this.#open.length - 1; index >= 0; index--) {
      const open = this.#open[index]!;
      if (!text.startsWith(open.boundary)) continue;
      const rest = text.slice(open.boundary.length);
      if (rest === '' || rest === '--') {
        this.#delimited(open, rest === '--', lineAt, next);
        return true;
      }
      odd = true;
    }
    if (odd) this.#listener.onFault('odd-delimiter');
    return false;
  }

  #delimited(open: Open, last: boolean, lineAt: number, next: number): void {
    if (this.#mode === 'header') this.#listener.onFault('cut-header');
    while (this.#mode === 'header') this.#headerEnds(lineAt);
    this.#leafEnds(lineAt - 2, true); // the CRLF before a delimiter belongs to it (RFC 2046 §5.1.1)
    while (this.#open.at(-1) !== open) this.#multipartEnds(this.#open.pop()!, false);
    if (last) this.#multipartEnds(this.#open.pop()!, true);
    else {
      open.parts++;
      this.#partBegins(next, open.depth + 1);
    }
  }

  #partBegins(at: number, depth: number): void {
    if (this.#parts >= LIMITS.mimePartsMax) {
      if (!this.#tooManyParts) this.#listener.onFault('too-many-parts');
      this.#tooManyParts = true;
      return;
    }
    this.#mode = 'header';
    this.#header = '';
    this.#headerIsLong = false;
    this.#headerAt = at;
    this.#depth = depth;
  }

  #headerEnds(bodyStart: number): void {
    this.#mode = 'body';
    const [index, depth] = [this.#parts++, this.#depth];
    const { kind, boundary } = this.#listener.onHeader(index, this.#header, depth);
    this.#header = '';
    const tooDeep = kind !== 'leaf' && depth >= LIMITS.mimeDepthMax;
    if (tooDeep) this.#listener.onFault('too-deep');
    if (kind === 'multipart' && boundary === null) this.#listener.onFault('no-boundary');
    if (kind === 'message' && !tooDeep) this.#partBegins(bodyStart, depth + 1);
    else if (kind === 'multipart' && boundary !== null && !tooDeep) this.#multipartBegins(boundary, depth);
    else this.#leaf = { index, start: this.#headerAt, bodyStart };
  }

  #multipartBegins(boundary: string, depth: number): void {
    if (this.#open.some((open) => open.boundary === boundary)) this.#listener.onFault('same-boundary');
    this.#open.push({ boundary, depth, parts: 0 });
  }

  #leafEnds(end: number, delimiter: boolean): void {
    const leaf = this.#leaf;
    this.#leaf = null;
    if (leaf === null) return;
    const { index, start, bodyStart } = leaf;
    const delimited = delimiter && end >= bodyStart;
    this.#listener.onEnd(index, { start, bodyStart, end: Math.max(bodyStart, end), delimited });
  }

  #multipartEnds({ parts }: Open, closed: boolean): void {
    if (!closed) this.#listener.onFault('unclosed');
    if (parts === 0) this.#listener.onFault('no-parts');
  }
}
