/**
 * Command lines come as one char per byte. Most are ASCII and are text already; the rest is UTF-8 (RFC 6531 §3.3) or
 * nothing. Verbs and keywords are compared as ASCII: Unicode's upper case would make a command of `RſET`.
 */

const NOT_ASCII = /[^\x00-\x7f]/;
/** C0 but for the tab, DEL, and C1, which no address and no word needs and which logs and header fields suffer from. */
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

export const isAscii = (text: string): boolean => !NOT_ASCII.test(text);

export const hasControls = (text: string): boolean => CONTROL.test(text);

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }); // a BOM is a character, not nothing

/** Octets of `text` in UTF-8. */
export const utf8Bytes = (text: string): number => (isAscii(text) ? text.length : encoder.encode(text).length);

/** One char per byte to text, or null where the bytes are not UTF-8 (RFC 3629 §3). */
export function decodeUtf8(line: string): string | null {
  if (isAscii(line)) return line;
  const bytes = new Uint8Array(line.length);
  for (let at = 0; at < line.length; at++) bytes[at] = line.charCodeAt(at);
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** Upper case of a word that is ASCII; any other word as it is, so that it equals no keyword. */
export const upperAscii = (word: string): string => (isAscii(word) ? word.toUpperCase() : word);

const SPACE = 0x20;
const TAB = 0x09;
const isBlank = (code: number): boolean => code === SPACE || code === TAB;

/** Without blanks at its end, which are tolerated (RFC 5321 §4.1.1). */
export function withoutTrailingBlanks(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--;
  return end === text.length ? text : text.slice(0, end);
}

/** Without spaces at its start. */
export function withoutLeadingSpaces(text: string): string {
  let start = 0;
  while (text.charCodeAt(start) === SPACE) start++;
  return start === 0 ? text : text.slice(start);
}
