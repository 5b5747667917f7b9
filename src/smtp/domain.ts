/**
 * Domains as SMTP carries them (RFC 5321 §4.1.2, §4.1.3; RFC 6531 §3.3): text in, the one form by which we route out,
 * or null. A name becomes lower-case A-labels, so that A-label and U-label are equal (RFC 5890 §2.3.2.4); an address
 * literal its canonical form.
 */
import ipaddr from 'ipaddr.js';
import { decodeUtf8, isAscii } from '../base/text.ts';

/** RFC 5321 §4.5.3.1.2, octets. */
const DOMAIN_BYTES_MAX = 255;
/** RFC 1035 §2.3.4, octets. */
const LABEL_BYTES_MAX = 63;

const DOT = 0x2e;
const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;

/** ASCII that URL would take for syntax, or decode, before it comes to the host name; `.`, `-` and `_` are left. */
const URL_SYNTAX = /[\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]/;

/** A name or a literal in its canonical form; null where it is neither. */
export function parseDomain(text: string): string | null {
  if (text.charCodeAt(0) === 0x5b) return parseLiteral(text);
  if (text.length > DOMAIN_BYTES_MAX) return null;
  const name = isAscii(text) ? text.toLowerCase() : toALabels(text);
  return name !== null && isHostName(name) ? name : null;
}

/** The same of a text with one char per byte, as header fields are read; U-labels are UTF-8 there. */
export function parseDomainOctets(octets: string): string | null {
  const text = decodeUtf8(octets);
  return text === null ? null : parseDomain(text);
}

/**
 * Letters, digits and hyphens in labels of 1 to 63; underscores too, for they are in use. The last label is not all
 * digits (RFC 3696 §2), so that no name can be taken for an IPv4 address by whoever connects to it.
 */
function isHostName(name: string): boolean {
  if (name.length > DOMAIN_BYTES_MAX) return false;
  let label = 0;
  let digitsOnly = true;
  let last = DOT;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code === DOT) {
      if (label === 0 || last === HYPHEN) return false;
      label = 0;
      digitsOnly = true;
    } else {
      const digit = code >= 0x30 && code <= 0x39;
      if (!digit && !(code >= 0x61 && code <= 0x7a) && code !== HYPHEN && code !== UNDERSCORE) return false;
      if (code === HYPHEN && label === 0) return false;
      if (++label > LABEL_BYTES_MAX) return false;
      digitsOnly &&= digit;
    }
    last = code;
  }
  return label > 0 && last !== HYPHEN && !digitsOnly;
}

/** RFC 5321 §4.1.3, IPv6 as RFC 5952 §4 has it. Tagged literals other than IPv6 are not known. */
function parseLiteral(text: string): string | null {
  if (!text.endsWith(']')) return null;
  const inner = text.slice(1, -1);
  if (ipaddr.IPv4.isValidFourPartDecimal(inner)) return `[${inner}]`;
  const v6 = /^ipv6:([0-9a-f:.]{2,45})$/i.exec(inner);
  return v6 !== null && ipaddr.IPv6.isValid(v6[1]!) ? `[IPv6:${ipaddr.IPv6.parse(v6[1]!).toRFC5952String()}]` : null;
}

/** U-labels to A-labels (RFC 5891 §4.4) by the host parser of URL, from which all its other habits are kept away. */
function toALabels(text: string): string | null {
  if (URL_SYNTAX.test(text)) return null;
  // What maps to an IPv4 address, in whatever notation, comes out as four numbers, and those are no host name here.
  return URL.parse(`http://${text}/`)?.hostname ?? null;
}
