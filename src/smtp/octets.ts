/** The way back from text to the wire, where strings are one char per byte: UTF-8 (RFC 6531 §3.1). See text.ts for the way in. */
import { isAscii } from './text.ts';

const encoder = new TextEncoder();

export function utf8Octets(text: string): string {
  if (isAscii(text)) return text;
  let octets = '';
  for (const byte of encoder.encode(text)) octets += String.fromCharCode(byte);
  return octets;
}
