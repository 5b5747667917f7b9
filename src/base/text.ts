/**
 * Text and its octets: one char per byte on the wire and in files, UTF-8 (RFC 3629) where a byte is not ASCII. Most
 * of it is ASCII, and is then both already.
 */

/** C0 but for the tab, DEL, and C1, which no address and no word needs and which logs and header fields suffer from. */
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }); // a BOM is a character, not nothing

/** How many octets `text` has in UTF-8. */
export const utf8Bytes = (text: string): number => Buffer.byteLength(text);

/** Counted by octets: of a field's length, a regular expression takes eight times as long. */
export const isAscii = (text: string): boolean => utf8Bytes(text) === text.length;

export const hasControls = (text: string): boolean => CONTROL.test(text);

export const encodeUtf8 = (text: string): Uint8Array => Buffer.from(text);

/** Text as octets of UTF-8, one char per byte. */
export const utf8Octets = (text: string): string => (isAscii(text) ? text : Buffer.from(text).toString('latin1'));

/** One char per byte to text, or null where the bytes are not UTF-8. */
export function decodeUtf8(octets: string): string | null {
  if (isAscii(octets)) return octets;
  try {
    return decoder.decode(Buffer.from(octets, 'latin1'));
  } catch {
    return null;
  }
}
