/** Tag lists: `a=rsa-sha256; d=example.org; …` (RFC 6376 §3.2), in signatures and in key records. Pure. */

export type Tags = ReadonlyMap<string, string>;

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const BLANKS = /[ \t\r\n]+/g;

/**
 * Values without blanks around them; names as written, for they are case-sensitive. Null where the list breaks the
 * grammar: a part without `=`, a name that is none, a name that comes twice.
 */
export function readTags(text: string): Tags | null {
  const tags = new Map<string, string>();
  for (let from = 0; from <= text.length; ) {
    const to = endOfPart(text, from, ';');
    const equals = text.indexOf('=', from);
    if (equals === -1 || equals >= to) {
      const last = to === text.length && trimBlanks(text.slice(from)) === '';
      return last ? tags : null;
    }
    const name = trimBlanks(text.slice(from, equals));
    if (!NAME.test(name) || tags.has(name)) return null;
    tags.set(name, trimBlanks(text.slice(equals + 1, to)));
    from = to + 1;
  }
  return tags;
}

/**
 * Without folding white space around it. A loop: the regular expression for the end of a text tries every blank of a
 * long run within it, and a stranger chooses the run.
 */
export function trimBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

const isBlank = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d);

/** Of a value in which folding means nothing: base64, lists. */
export const withoutBlanks = (value: string): string => value.replace(BLANKS, '');

/** Colon-separated, in lower case. */
export function listOf(value: string): string[] {
  const text = value.toLowerCase();
  const names: string[] = [];
  for (let from = 0; from < text.length; ) {
    const to = endOfPart(text, from, ':');
    const name = trimBlanks(text.slice(from, to));
    if (name !== '') names.push(name);
    from = to + 1;
  }
  return names;
}

/** By hand: `split` looks each text up in a table of all that it has split. */
function endOfPart(text: string, from: number, separator: ';' | ':'): number {
  const at = text.indexOf(separator, from);
  return at === -1 ? text.length : at;
}

const SIGNATURE = /[ \t\r\n]*b[ \t\r\n]*=/y;

/** The list without the value of its tag b, which cannot sign itself (RFC 6376 §3.5): all else as it stands. */
export function withoutSignature(text: string): string {
  for (let from = 0; from < text.length; ) {
    const to = endOfPart(text, from, ';');
    SIGNATURE.lastIndex = from;
    if (SIGNATURE.test(text)) return text.slice(0, SIGNATURE.lastIndex) + text.slice(to);
    from = to + 1;
  }
  return text;
}
