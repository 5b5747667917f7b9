/**
 * Whose domain stands in From (RFC 5322 §3.6.2, RFC 9989 §5.3.1): the one that a reader is shown, and that DMARC is
 * about. Only what every reader must read alike has a domain; anything else says why not. Pure.
 */
import type { Field } from '../message/headers.ts';
import { parseDomainOctets } from '../smtp/domain.ts';
import { trimBlanks } from './tags.ts';

export type Author =
  | { readonly tag: 'one'; readonly domain: string }
  /** No From; more than one field or domain; or something that readers may read differently. */
  | { readonly tag: 'none' | 'several' | 'unsound' };

export function authorOf(fields: readonly Field[]): Author {
  const from = fields.filter(({ name }) => name === 'from');
  if (from.length === 0) return { tag: 'none' };
  if (from.length > 1) return { tag: 'several' };
  const addresses = addressesIn(from[0]!.value);
  if (addresses === null || addresses.length === 0) return { tag: 'unsound' };
  const domains = new Set(addresses.map(domainOf));
  if (domains.has(null)) return { tag: 'unsound' };
  return domains.size === 1 ? { tag: 'one', domain: [...domains][0]! } : { tag: 'several' };
}

/** As they stand, comments taken out; null where the grammar is broken. A group's members are authors, too. */
export function addressesIn(value: string): string[] | null {
  const addresses: string[] = [];
  let bare = '';
  let angle: string | null = null;
  let within = false;
  const finish = (): boolean => {
    const address = trimBlanks(angle ?? bare);
    if (address !== '') addresses.push(address);
    bare = '';
    angle = null;
    return address === '' || address.includes('@');
  };
  for (let at = 0; at < value.length; ) {
    const end = tokenEnd(value, at);
    if (end === -1) return null;
    const token = value.slice(at, end);
    at = end;
    if (token[0] === '(') continue;
    if (within) {
      if (token === '>') within = false;
      else if (token === '<') return null;
      else angle += token;
    } else if (token === '<') {
      if (angle !== null) return null;
      within = true;
      angle = '';
    } else if (token === '>') return null;
    else if (token === ',' || token === ';') {
      if (!finish()) return null;
    } else if (token === ':') {
      if (angle !== null || bare.includes('@')) return null;
      bare = ''; // the name of a group
    } else if (angle !== null && token.trim() !== '') return null;
    else bare += token;
  }
  return within || !finish() ? null : addresses;
}

const ORDINARY = /[^("[<>,;:]+/y;

/**
 * A comment, a quoted string, a domain literal, one character that has a meaning here, or a run of others; -1 where one
 * of the first three does not end.
 */
function tokenEnd(value: string, from: number): number {
  ORDINARY.lastIndex = from;
  if (ORDINARY.test(value)) return ORDINARY.lastIndex;
  const opens = value[from]!;
  if (opens !== '(' && opens !== '"' && opens !== '[') return from + 1;
  let depth = 0;
  for (let at = from; at < value.length; at++) {
    const char = value[at]!;
    if (char === '\\') at++;
    else if (opens === '(') {
      if (char === '(') depth++;
      if (char === ')' && --depth === 0) return at + 1;
    } else if (at > from && char === (opens === '"' ? '"' : ']')) return at + 1;
  }
  return -1;
}

/** Behind the one @ that is not in a quoted string; U-labels as A-labels. Null: none, or more than one. */
function domainOf(address: string): string | null {
  const unquoted = address.replace(/"(?:[^"\\]|\\.)*"/gs, '');
  const at = unquoted.indexOf('@');
  if (at === -1 || unquoted.indexOf('@', at + 1) !== -1 || !/^[^\s,:;<>()]*$/.test(unquoted)) return null;
  return parseDomainOctets(unquoted.slice(at + 1).replace(/\.$/, ''));
}
