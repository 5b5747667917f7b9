/** From text to the wire, where a string has one char per byte: UTF-8 (RFC 6531 §3.1). The way in is text.ts. */
import { isAscii } from './text.ts';

const encoder = new TextEncoder();

export function utf8Octets(text: string): string {
  if (isAscii(text)) return text;
  let octets = '';
  for (const byte of encoder.encode(text)) octets += String.fromCharCode(byte);
  return octets;
}
