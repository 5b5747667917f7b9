/** Tag lists: `a=rsa-sha256; d=example.org; …` (RFC 6376 §3.2), in signatures and in key records. Pure. */

export type Tags = ReadonlyMap<string, string>;

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const BLANKS = /[ \t\r\n]+/g;

/**
 * Values without blanks around them; names as written, for they are case-sensitive. Null where the list breaks the
 * grammar: a part without `=`, a name that is none, a name that comes twice.
 */
export function readTags(text: string): Tags | null {
  const parts = text.split(';');
  if (trimBlanks(parts.at(-1)!) === '') parts.pop();
  const tags = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    if (equals === -1) return null;
    const name = trimBlanks(part.slice(0, equals));
    if (!NAME.test(name) || tags.has(name)) return null;
    tags.set(name, trimBlanks(part.slice(equals + 1)));
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
export const listOf = (value: string): string[] =>
  value.split(':').flatMap((entry) => {
    const name = trimBlanks(entry).toLowerCase();
    return name === '' ? [] : [name];
  });

/** The list without the value of its tag b, which cannot sign itself (RFC 6376 §3.5): all else as it stands. */
export const withoutSignature = (text: string): string => text.replace(/(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*/, '$1$2');
