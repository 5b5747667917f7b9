/**
 * Mailboxes and paths of RFC 5321 §4.1.2, with RFC 6531 §3.3 for internationalised ones: text in, value or null out.
 * Strict where parsers have disagreed to somebody's profit: the domain begins after the last @ that is not quoted, and
 * nobody splits an address again further in. `%`, `!` and a quoted @ are parts of a local part, with no meaning here.
 */
import { utf8Bytes } from '../base/text.ts';
import { parseDomain } from './domain.ts';
import { upperAscii } from './text.ts';

export type Mailbox = {
  /** As it is sent on: a dot-string, or quoted where it must be. */
  readonly local: string;
  /** Lower case A-labels, or a literal in brackets; '' for `<Postmaster>` (RFC 5321 §4.5.1). */
  readonly domain: string;
};

/** RFC 5321 §4.5.3.1.1 and §4.5.3.1.3, octets. */
const LOCAL_BYTES_MAX = 64;
const PATH_BYTES_MAX = 256;

const QUOTE = 0x22;
const DOT = 0x2e;
const LESS = 0x3c;
const GREATER = 0x3e;
const AT = 0x40;
const BACKSLASH = 0x5c;

/** RFC 5322 §3.2.3 */
const ATEXT = new Uint8Array(128);
for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~") {
  ATEXT[char.charCodeAt(0)] = 1;
}

export const printMailbox = ({ local, domain }: Mailbox): string => (domain === '' ? local : `${local}@${domain}`);

/** A path, and the index after its `>`; `mailbox` is null for `<>`. */
export type Path = { readonly mailbox: Mailbox | null; readonly end: number };

const NULL_PATH: Path = { mailbox: null, end: 2 };

/** Reads the path that begins with `<` at the start of `text`. Null: it is not one. */
export function parsePath(text: string): Path | null {
  if (text.charCodeAt(0) !== LESS) return null;
  const at = endOfDotString(text, 1);
  // The usual shape, in one pass over its chars; whatever else it may be, it is neither quoted nor a source route.
  if (at > 1 && text.charCodeAt(at) === AT) return parsePlain(text, at);
  if (text.charCodeAt(1) === GREATER) return NULL_PATH;
  const end = closingBracket(text);
  if (end === -1 || utf8Bytes(text.slice(0, end)) > PATH_BYTES_MAX) return null;
  const inner = text.slice(1, end - 1);
  if (upperAscii(inner) === 'POSTMASTER') return { mailbox: { local: inner, domain: '' }, end };
  const address = afterSourceRoute(inner);
  const mailbox = address === null ? null : parseMailbox(address);
  return mailbox === null ? null : { mailbox, end };
}

/** `at` is where the @ after a dot-string is. */
function parsePlain(text: string, at: number): Path | null {
  const end = text.indexOf('>', at) + 1;
  if (end === 0 || utf8Bytes(text.slice(0, end)) > PATH_BYTES_MAX) return null;
  const local = text.slice(1, at);
  const domain = parseDomain(text.slice(at + 1, end - 1));
  return domain === null || utf8Bytes(local) > LOCAL_BYTES_MAX ? null : { mailbox: { local, domain }, end };
}

/** `local@domain`, the domain a name or a literal. */
function parseMailbox(text: string): Mailbox | null {
  const quoted = text.charCodeAt(0) === QUOTE;
  const at = quoted ? endOfQuoted(text, 0) : endOfDotString(text, 0);
  if (at < 1 || text.charCodeAt(at) !== AT || utf8Bytes(text.slice(0, at)) > LOCAL_BYTES_MAX) return null;
  const local = quoted ? leastQuoted(text.slice(1, at - 1)) : text.slice(0, at);
  const domain = parseDomain(text.slice(at + 1));
  return domain === null ? null : { local, domain };
}

/** The index after the dot-string (RFC 5321 §4.1.2) that starts at `from`, or -1 where there is none. */
function endOfDotString(text: string, from: number): number {
  let atom = false;
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 127 || ATEXT[code] === 1) atom = true;
    else if (code === DOT && atom) atom = false;
    else break;
  }
  return atom ? at : -1;
}

/** The local part as it is sent on: quotes that are not needed go, as RFC 5321 §4.1.2 asks for. */
function leastQuoted(body: string): string {
  const plain = body.replace(/\\(.)/gsu, '$1');
  if (endOfDotString(plain, 0) === plain.length) return plain;
  return `"${plain.replace(/[\\"]/g, '\\$&')}"`;
}

/** The index after the closing quote of the Quoted-string that starts at `from`, or -1. */
function endOfQuoted(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    let code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) {
      code = text.charCodeAt(++at);
      if (!(code <= 0x7e)) return -1; // ASCII alone is escaped, also by RFC 6531 §3.3; NaN is the end
    }
    if (code < 0x20 || code === 0x7f) return -1;
  }
  return -1;
}

/** The index after the `>` that closes the path at the start of `text`, quotes respected, or -1. */
function closingBracket(text: string): number {
  for (let at = 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === GREATER) return at + 1;
    if (code === QUOTE) {
      const end = endOfQuoted(text, at);
      if (end === -1) return -1;
      at = end - 1;
    }
  }
  return -1;
}

/** RFC 5321 §4.1.1.3, appendix C: `@one,@two:` is accepted and ignored. */
function afterSourceRoute(text: string): string | null {
  if (text.charCodeAt(0) !== AT) return text;
  // The colon of an IPv6 literal among the hops is not the one that ends them: that one is followed by the mailbox.
  let colon = -1;
  for (let at = 0, literal = false; at < text.length && colon === -1; at++) {
    const char = text[at];
    if (char === '[') literal = true;
    else if (char === ']') literal = false;
    else if (char === ':' && !literal) colon = at;
  }
  if (colon === -1) return null;
  const hops = text.slice(0, colon).split(',');
  return hops.every((hop) => hop.charCodeAt(0) === AT && parseDomain(hop.slice(1)) !== null)
    ? text.slice(colon + 1)
    : null;
}
