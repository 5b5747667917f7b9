/**
 * A header section as text, split into its fields (RFC 5322 §2.2). Tolerant: it reads what strangers wrote, and mends
 * nothing. `text` is one char per byte, or text; offsets are in chars of it.
 *
 *   start         colon                                        end
 *   │Subject      : first line CRLF SP and its continuation CRLF│Next: …
 *   └─ name ──────┘└──────────────── value ─────────────────────┘
 */

export type Field = {
  /** As written, without blanks; '' for a line that is no field (RFC 5322 §3.6.8 names what one is made of). */
  readonly name: string;
  /** What follows the colon, with folds and blanks as they are, without the last line end. */
  readonly value: string;
  readonly start: number;
  readonly valueStart: number;
  /** After the line end. */
  readonly end: number;
};

export type HeaderSection = {
  readonly fields: readonly Field[];
  /** Where it ends: after the empty line, or where the text ends or the limit was reached. */
  readonly end: number;
  /** An empty line ended it. */
  readonly complete: boolean;
};

/** Fields beyond are not read. Mail with a tenth of it is rare, and a loop is stopped at 100 hops (RFC 5321 §6.3). */
const FIELDS_MAX = 1000;

const NAME_CHARS_MAX = 998;

/** Lines end in CRLF, or LF alone. A last line without an end counts as one. O(text). */
export function splitHeaders(text: string, fieldsMax = FIELDS_MAX): HeaderSection {
  const fields: Field[] = [];
  let at = 0;
  while (at < text.length && fields.length < fieldsMax) {
    const empty = emptyLineEnd(text, at);
    if (empty !== 0) return { fields, end: empty, complete: true };
    const end = fieldEnd(text, at);
    fields.push(readField(text, at, end));
    at = end;
  }
  return { fields, end: at, complete: false };
}

/** The first field of that name, whatever the case. */
export function findField({ fields }: HeaderSection, name: string): Field | undefined {
  const wanted = name.toLowerCase();
  return fields.find((field) => field.name.length === wanted.length && field.name.toLowerCase() === wanted);
}

/** The value on one line, as RFC 5322 §2.2.3 unfolds it, without blanks around it. */
export const unfolded = ({ value }: Field): string => value.replace(/\r?\n/g, '').trim();

/** After the empty line at `at`, or 0 where there is none. */
function emptyLineEnd(text: string, at: number): number {
  if (text[at] === '\n') return at + 1;
  return text[at] === '\r' && text[at + 1] === '\n' ? at + 2 : 0;
}

/** After the line at `at`, and all that begin with a blank behind it. */
function fieldEnd(text: string, at: number): number {
  let next = at;
  do {
    const lf = text.indexOf('\n', next);
    next = lf === -1 ? text.length : lf + 1;
  } while (text[next] === ' ' || text[next] === '\t');
  return next;
}

function readField(text: string, start: number, end: number): Field {
  let to = end;
  if (to > start && text[to - 1] === '\n') to -= text[to - 2] === '\r' ? 2 : 1;
  const nameEnd = wordEnd(text, start, to);
  let colon = nameEnd;
  while (colon < to && isBlank(text.charCodeAt(colon))) colon++;
  const named = nameEnd > start && nameEnd - start <= NAME_CHARS_MAX && colon < to && text[colon] === ':';
  return named
    ? { name: text.slice(start, nameEnd), value: text.slice(colon + 1, to), start, valueStart: colon + 1, end }
    : { name: '', value: text.slice(start, to), start, valueStart: start, end };
}

/** Behind the printable ASCII at `at`; a colon ends it. */
function wordEnd(text: string, at: number, to: number): number {
  while (at < to) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f || code === 0x3a) break;
    at++;
  }
  return at;
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;
