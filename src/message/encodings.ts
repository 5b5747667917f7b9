/**
 * The encodings of notifications: xtext and its kin, in which ESMTP parameters come and fields go out, and
 * quoted-printable for what must pass servers without SMTPUTF8. Octets are strings of one char per byte.
 */
import { isAscii } from '../base/text.ts';

/** RFC 3461 §4: `+2B` is a plus. Controls, which the parser lets nobody write, stay encoded. */
export const xtextDecoded = (text: string): string =>
  text.replace(/\+([2-6][0-9A-F]|7[0-9A-E])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** RFC 6533 §3: `\x{F6}` is an ö. What names no character stays as it is. */
const unitextDecoded = (text: string): string =>
  text.replace(/\\x\{([0-9A-F]{2,6})\}/g, (written, hex: string) => {
    const point = Number.parseInt(hex, 16);
    const isCharacter = point >= 0x20 && point !== 0x7f && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    return isCharacter ? String.fromCodePoint(point) : written;
  });

/** RFC 6533 §3, utf-8-addr-xtext: ASCII, and safe in every parameter and field. */
const unitextEncoded = (text: string): string =>
  text.replace(/[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]/gu, (char) => {
    const hex = char.codePointAt(0)!.toString(16).toUpperCase();
    return `\\x{${hex.padStart(2, '0')}}`;
  });

/**
 * An ORCPT as the value of Original-Recipient (RFC 3464 §2.3.1), or null where it has no type. An address of type utf-8
 * is written in characters where `utf8` lets it, and in utf-8-addr-xtext elsewhere (RFC 6533 §3).
 */
export function originalRecipient(orcpt: string, utf8: boolean): string | null {
  const semicolon = orcpt.indexOf(';');
  if (semicolon === -1) return null;
  const type = orcpt.slice(0, semicolon);
  const address = xtextDecoded(orcpt.slice(semicolon + 1));
  if (type.toLowerCase() !== 'utf-8') return `${type}; ${address}`;
  const characters = unitextDecoded(address);
  return `${type}; ${utf8 && !isAscii(characters) ? characters : unitextEncoded(characters)}`;
}

const QUOTED_LINE_CHARS = 76;

/** RFC 2045 §6.7, of octets with CRLF line ends, which stay. */
export const quotedPrintable = (octets: string): string => octets.split('\r\n').map(quotedLine).join('\r\n');

function quotedLine(line: string): string {
  let written = '';
  let chars = 0;
  for (let at = 0; at < line.length; at++) {
    const last = at === line.length - 1;
    const piece = quotedOctet(line.charCodeAt(at), last);
    if (chars + piece.length > QUOTED_LINE_CHARS - (last ? 0 : 1)) {
      written += '=\r\n';
      chars = 0;
    }
    written += piece;
    chars += piece.length;
  }
  return written;
}

/** A blank at the end of a line would be lost. */
function quotedOctet(octet: number, last: boolean): string {
  const isBlank = octet === 0x20 || octet === 0x09;
  const plain = isBlank ? !last : octet > 0x20 && octet < 0x7f && octet !== 0x3d;
  return plain ? String.fromCharCode(octet) : `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
}
