/**
 * One line of a list, as the key under which it is kept, and the keys under which a value is looked for. Pure.
 *
 *   192.0.2.0/24      networks and addresses, by their bits         mx.example.org    that name
 *   .example.org      that name and all below it                    user@example.org  that address, capitals apart
 *   *.example.org     all below it                                  @example.org      all addresses of that domain
 *   … expires=2027-01-31, or with a time of day (UTC)               # a comment
 */
import { addressWords, prefixKey } from '../net/addresses.ts';
import { parseDomain } from '../smtp/domain.ts';
import type { KeySet } from './key_set.ts';

export type Entry = {
  readonly key: string;
  /** Seconds since 1970; 0: never. */
  readonly expirySeconds: number;
  /** Of a network; null: it is a text. */
  readonly network: { readonly v6: boolean; readonly bits: number } | null;
};

/** With its comment. */
export const LINE_CHARS_MAX = 1024;
/** An address has 256 octets at most (RFC 5321 §4.5.3.1.3). */
const TEXT_CHARS_MAX = 320;
const NETWORK = /^(?:[\d.]+|[\da-f:.]*:[\da-f:.]*)(?:\/(\d{1,3}))?$/i;
const DATE = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?Z)?$/;
/** What keys of other kinds begin with. */
const NO_VALUE = /^(?:[ @]|[.*][^@]*$)/;
const LOCAL = /^[^\s@"<>]+$/;

/** Marks of a key set: which kinds of entries are in it, so that nothing is looked for in vain. */
const NAMES_BELOW = 0;
const DOMAINS = 1;
const V4_BITS = 2;
const V6_BITS = V4_BITS + 33;

/** Null: nothing but a comment. A text: what is wrong. */
export function parseEntry(line: string): Entry | null | string {
  if (line.length > LINE_CHARS_MAX) return 'the line is too long';
  const comment = line.indexOf('#');
  const words = (comment === -1 ? line : line.slice(0, comment)).trim();
  if (words === '') return null;
  const [text = '', expiry, ...more] = words.split(/\s+/);
  if (more.length > 0 || (expiry !== undefined && !expiry.startsWith('expires='))) return 'write one entry a line';
  const expirySeconds = expiry === undefined ? 0 : secondsOf(expiry.slice('expires='.length));
  if (expirySeconds === null) return 'write expires=2027-01-31, or expires=2027-01-31T12:00Z';
  const network = NETWORK.exec(text);
  if (network !== null) return networkEntry(text, network[1], expirySeconds);
  const key = canonicalText(text);
  return key === null ? 'this is no address, network, name or mail address' : { key, expirySeconds, network: null };
}

function secondsOf(text: string): number | null {
  const ms = DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) || ms <= 0 ? null : Math.min(Math.floor(ms / 1000), 0xffffffff);
}

function networkEntry(text: string, length: string | undefined, expirySeconds: number): Entry | string {
  const words = addressWords(length === undefined ? text : text.slice(0, text.indexOf('/')));
  if (words === null) return 'this is no address';
  const v6 = words.length === 4;
  const mapped = !v6 && text.includes(':') ? 96 : 0; // ::ffff:192.0.2.0/120 is 192.0.2.0/24
  const bits = length === undefined ? words.length * 32 : Number(length) - mapped;
  if (bits < 0 || bits > words.length * 32) return 'the prefix is too long';
  const key = networkKey(words, bits);
  const whole = networkKey(words, words.length * 32)
    .split(':')
    .slice(-words.length)
    .join(':');
  if (!key.endsWith(`:${whole}`)) return 'bits are set behind the prefix';
  return { key, expirySeconds, network: { v6, bits } };
}

/** No text has a blank: a client cannot name itself so that it meets a network. */
const networkKey = (words: readonly number[], bits: number): string => ` ${prefixKey(words, bits)}`;

/** Lower case, domains in A-labels; null: not what a list can hold. */
function canonicalText(text: string): string | null {
  if (text.length > TEXT_CHARS_MAX || text.includes('/')) return null;
  const at = text.lastIndexOf('@');
  if (at !== -1) {
    const domain = parseDomain(text.slice(at + 1));
    const local = text.slice(0, at).toLowerCase();
    return domain === null || (at > 0 && !LOCAL.test(local)) ? null : `${local}@${domain}`;
  }
  const prefix = text.startsWith('*.') ? '*.' : text.startsWith('.') ? '.' : '';
  const name = parseDomain(text.slice(prefix.length));
  if (name !== null) return prefix + name;
  // What clients call themselves need not be a name.
  return prefix === '' && /^[\x21-\x7e]+$/.test(text) ? text.toLowerCase() : null;
}

export function addEntry(set: KeySet, { key, expirySeconds, network }: Entry): void {
  set.add(key, expirySeconds);
  if (network !== null) set.mark((network.v6 ? V6_BITS : V4_BITS) + network.bits);
  else if (key.startsWith('.') || key.startsWith('*.')) set.mark(NAMES_BELOW);
  else if (key.startsWith('@')) set.mark(DOMAINS);
}

/** O(labels) for a name, O(prefix lengths that occur) for an address. */
export function hasValue(set: KeySet, value: string, nowSeconds: number): boolean {
  if (set.count === 0 || value.length > TEXT_CHARS_MAX || NO_VALUE.test(value)) return false;
  const words = NETWORK.test(value) ? addressWords(value) : null;
  if (words !== null) {
    const first = words.length === 1 ? V4_BITS : V6_BITS;
    for (let bits = words.length * 32; bits >= 0; bits--) {
      if (set.marked(first + bits) && set.has(networkKey(words, bits), nowSeconds)) return true;
    }
    return false;
  }
  const text = value.toLowerCase();
  if (set.has(text, nowSeconds)) return true;
  const at = text.lastIndexOf('@');
  if (at !== -1) return set.marked(DOMAINS) && set.has(text.slice(at), nowSeconds);
  return set.marked(NAMES_BELOW) && isBelow(set, text, nowSeconds);
}

function isBelow(set: KeySet, name: string, nowSeconds: number): boolean {
  if (set.has(`.${name}`, nowSeconds)) return true;
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const below = name.slice(dot);
    if (set.has(below, nowSeconds) || set.has(`*${below}`, nowSeconds)) return true;
  }
  return false;
}
