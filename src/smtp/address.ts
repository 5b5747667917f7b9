/**
 * Mailboxes and paths of RFC 5321 §4.1.2, with RFC 6531 §3.3 for internationalised ones: text in, value or null out.
 * Strict where parsers have disagreed to somebody's profit: the domain begins after the last @ that is not quoted, and
 * nobody splits an address again further in.
 */
import ipaddr from 'ipaddr.js';

export type Mailbox = {
  /** As it is sent on: a dot-string, or quoted where it must be. */
  readonly local: string;
  /** Lower case A-labels, or a literal in brackets; '' for `<Postmaster>` (RFC 5321 §4.5.1). */
  readonly domain: string;
};

/** RFC 5321 §4.5.3.1.1 to §4.5.3.1.3, octets. */
const LOCAL_BYTES_MAX = 64;
const DOMAIN_BYTES_MAX = 255;
const PATH_BYTES_MAX = 256;

/** The usual shape: nothing quoted, nothing international. Each part is checked again for its dots. */
const PLAIN = /^<([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64})@([A-Za-z0-9._-]{1,255})>/;
const DOT_STRING = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+)*$/u;
const NOT_ASCII = /[^\x00-\x7f]/;
/** Letters, digits, hyphens; underscores are tolerated, for they are in use. */
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

export const isAscii = (text: string): boolean => !NOT_ASCII.test(text);

export const printMailbox = ({ local, domain }: Mailbox): string => (domain === '' ? local : `${local}@${domain}`);

/** A path and where it ends; `mailbox` is null for `<>`. */
export type Path = { readonly mailbox: Mailbox | null; readonly end: number };

/** Reads the path that begins with `<` at the start of `text`. Null: it is not one. */
export function parsePath(text: string): Path | null {
  const plain = PLAIN.exec(text);
  if (plain !== null && plain[0].length <= PATH_BYTES_MAX) {
    const domain = parseDomain(plain[2]!);
    if (domain !== null && DOT_STRING.test(plain[1]!)) return { mailbox: { local: plain[1]!, domain }, end: plain[0].length };
    return null;
  }
  if (text.startsWith('<>')) return { mailbox: null, end: 2 };
  const end = closingBracket(text);
  if (end === -1 || byteLength(text.slice(0, end)) > PATH_BYTES_MAX) return null;
  const inner = afterSourceRoute(text.slice(1, end - 1));
  if (inner === null) return null;
  if (/^postmaster$/i.test(inner)) return { mailbox: { local: inner, domain: '' }, end };
  const mailbox = parseMailbox(inner);
  return mailbox === null ? null : { mailbox, end };
}

/** `local@domain`, the domain a name or a literal. */
export function parseMailbox(text: string): Mailbox | null {
  const at = text.startsWith('"') ? endOfQuoted(text) : text.indexOf('@');
  if (at < 1 || text[at] !== '@') return null;
  const local = parseLocal(text.slice(0, at));
  const domain = parseDomain(text.slice(at + 1));
  return local === null || domain === null ? null : { local, domain };
}

/** A domain name in lower-case A-labels, or an address literal; null where it is neither. */
export function parseDomain(text: string): string | null {
  if (text.startsWith('[')) return parseLiteral(text);
  const name = (NOT_ASCII.test(text) ? toALabels(text) : text)?.toLowerCase();
  if (name === undefined || name.length === 0 || name.length > DOMAIN_BYTES_MAX) return null;
  return name.split('.').every((label) => LABEL.test(label)) ? name : null;
}

/** RFC 5321 §4.1.3; other tagged literals are not known. */
function parseLiteral(text: string): string | null {
  if (!text.endsWith(']')) return null;
  const inner = text.slice(1, -1);
  const v6 = /^IPv6:([0-9a-f:.]+)$/i.exec(inner);
  if (v6 !== null) return ipaddr.IPv6.isValid(v6[1]!) ? `[IPv6:${v6[1]!.toLowerCase()}]` : null;
  return ipaddr.IPv4.isValidFourPartDecimal(inner) ? `[${inner}]` : null;
}

/** RFC 5890 §2.3.2.1: U-labels and A-labels are equal, and we route by the latter. */
function toALabels(text: string): string | undefined {
  if (/[\x00-\x2c\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]/.test(text)) return undefined; // what URL would take for syntax
  const url = URL.parse(`http://${text}/`);
  return url === null || ipaddr.IPv4.isValid(url.hostname) ? undefined : url.hostname;
}

/** The local part as it is sent on: quotes that are not needed go, as RFC 5321 §4.1.2 asks for. */
function parseLocal(text: string): string | null {
  if (byteLength(text) > LOCAL_BYTES_MAX) return null;
  if (DOT_STRING.test(text)) return text;
  if (!text.startsWith('"')) return null;
  const body = text.slice(1, -1).replace(/\\(.)/gsu, '$1');
  if (DOT_STRING.test(body)) return body;
  return `"${body.replace(/[\\"]/g, '\\$&')}"`;
}

/** The index after the closing quote of a Quoted-string at the start of `text`, or -1. */
function endOfQuoted(text: string): number {
  for (let at = 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code === 0x5c) at++;
    const quoted = text.charCodeAt(at);
    if (Number.isNaN(quoted) || quoted < 0x20 || quoted === 0x7f) return -1;
  }
  return -1;
}

/** The index after the `>` that closes the path, quotes respected, or -1. */
function closingBracket(text: string): number {
  if (text[0] !== '<') return -1;
  for (let at = 1; at < text.length; at++) {
    const char = text[at]!;
    if (char === '>') return at + 1;
    if (char === '<' || char === ' ') return -1;
    if (char === '"') {
      const length = endOfQuoted(text.slice(at));
      if (length === -1) return -1;
      at += length - 1;
    }
  }
  return -1;
}

/** RFC 5321 §4.1.1.3, appendix C: `@one,@two:` is accepted and ignored. */
function afterSourceRoute(text: string): string | null {
  if (!text.startsWith('@')) return text;
  const colon = text.indexOf(':');
  if (colon === -1) return null;
  const hops = text.slice(0, colon).split(',');
  return hops.every((hop) => hop.startsWith('@') && parseDomain(hop.slice(1)) !== null) ? text.slice(colon + 1) : null;
}

const encoder = new TextEncoder();
const byteLength = (text: string): number => (isAscii(text) ? text.length : encoder.encode(text).length);
