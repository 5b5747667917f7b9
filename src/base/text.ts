/**
 * Text and its octets: one char per byte on the wire and in files, UTF-8 (RFC 3629) where a byte is not ASCII. Most
 * of it is ASCII, and is then both already.
 */
const NOT_ASCII = /[^\x00-\x7f]/;
/** C0 but for the tab, DEL, and C1, which no address and no word needs and which logs and header fields suffer from. */
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }); // a BOM is a character, not nothing

export const isAscii = (text: string): boolean => !NOT_ASCII.test(text);

export const hasControls = (text: string): boolean => CONTROL.test(text);

/** How many octets `text` has in UTF-8. */
export const utf8Bytes = (text: string): number => (isAscii(text) ? text.length : encoder.encode(text).length);

/** Text as octets of UTF-8, one char per byte. */
export function utf8Octets(text: string): string {
  if (isAscii(text)) return text;
  let octets = '';
  for (const byte of encoder.encode(text)) octets += String.fromCharCode(byte);
  return octets;
}

/** One char per byte to text, or null where the bytes are not UTF-8. */
export function decodeUtf8(octets: string): string | null {
  if (isAscii(octets)) return octets;
  const bytes = new Uint8Array(octets.length);
  for (let at = 0; at < octets.length; at++) bytes[at] = octets.charCodeAt(at);
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}
