/** Tag lists: `a=rsa-sha256; d=example.org; …` (RFC 6376 §3.2), in signatures and in key records. Pure. */

export type Tags = ReadonlyMap<string, string>;

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
/** Folding white space: what surrounds names and values, and may stand within some of them. */
const EDGES = /^[ \t\r\n]+|[ \t\r\n]+$/g;
const BLANKS = /[ \t\r\n]+/g;

/**
 * Values without blanks around them; names as written, for they are case-sensitive. Null where the list breaks the
 * grammar: a part without `=`, a name that is none, a name that comes twice.
 */
export function readTags(text: string): Tags | null {
  const parts = text.split(';');
  if (parts.at(-1)!.replace(EDGES, '') === '') parts.pop();
  const tags = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    if (equals === -1) return null;
    const name = part.slice(0, equals).replace(EDGES, '');
    if (!NAME.test(name) || tags.has(name)) return null;
    tags.set(name, part.slice(equals + 1).replace(EDGES, ''));
  }
  return tags;
}

/** Of a value in which folding means nothing: base64, lists. */
export const withoutBlanks = (value: string): string => value.replace(BLANKS, '');

/** Colon-separated, in lower case. */
export const listOf = (value: string): string[] =>
  value.split(':').flatMap((entry) => {
    const name = entry.replace(EDGES, '').toLowerCase();
    return name === '' ? [] : [name];
  });

/** The list without the value of its tag b, which cannot sign itself (RFC 6376 §3.5): all else as it stands. */
export const withoutSignature = (text: string): string => text.replace(/(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*/, '$1$2');
