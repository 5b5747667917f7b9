/**
 * XCLIENT, by which a listed peer says whom it speaks for (Postfix's XCLIENT_README): the argument of the command to a
 * value. Attributes that were not said are absent, and stay what they were.
 *
 *   XCLIENT NAME=mx.example.org ADDR=192.0.2.7 PROTO=ESMTP HELO=mx.example.org
 *   XCLIENT ADDR=IPV6:2001:db8::7 LOGIN=bob+20jones NAME=[UNAVAILABLE]
 *
 * Values are xtext (RFC 3461 §4). PORT, DESTADDR and DESTPORT are read, so that a peer may say all that it knows, and
 * nothing here has a use for them.
 */
import ipaddr from 'ipaddr.js';
import { decodeUtf8, hasControls } from '../base/text.ts';
import { upperAscii } from './text.ts';

export type Announcement = {
  /** Of the client, as it is checked by who says it; null: there is none, or it could not be looked up now. */
  readonly name?: string | null;
  /** Null: the peer itself does not know. */
  readonly address?: string | null;
  readonly protocol?: 'SMTP' | 'ESMTP';
  readonly helo?: string | null;
  /** Whom the client has authenticated as; null: nobody. */
  readonly login?: string | null;
};

/** In the order in which Postfix offers them. */
export const XCLIENT_ATTRIBUTES = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'LOGIN', 'DESTADDR', 'DESTPORT'] as const;
type Attribute = (typeof XCLIENT_ATTRIBUTES)[number];

/** Takes the decoded value, or null for [UNAVAILABLE] and [TEMPUNAVAIL]; undefined: it is not one. */
const READERS: Readonly<Record<Attribute, (value: string | null) => Announcement | undefined>> = {
  NAME: (name) => (name === null || NAME.test(name) ? { name: name?.toLowerCase() ?? null } : undefined),
  ADDR: (text) => {
    const address = text === null ? null : addressOf(text);
    return address === undefined ? undefined : { address };
  },
  PORT: (text) => (text === null || isPort(text) ? {} : undefined),
  PROTO: (text) => {
    const protocol = text === null ? null : upperAscii(text);
    if (protocol === null) return {};
    return protocol === 'SMTP' || protocol === 'ESMTP' ? { protocol } : undefined;
  },
  HELO: (helo) => ({ helo }),
  LOGIN: (login) => ({ login }),
  DESTADDR: (text) => (text === null || addressOf(text) !== undefined ? {} : undefined),
  DESTPORT: (text) => (text === null || isPort(text) ? {} : undefined),
};

/** What a name in the DNS may look like, and no address: that would be a client that is called like another one. */
const NAME = /^(?=.*[A-Za-z])[\w-]+(?:\.[\w-]+)*$/;
const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65_535;

/** `192.0.2.7` or `IPV6:2001:db8::7`. */
function addressOf(text: string): string | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString();
  const v6 = /^ipv6:([0-9a-f:.]{2,45})$/i.exec(text)?.[1];
  if (v6 === undefined || !ipaddr.IPv6.isValid(v6)) return undefined;
  const parsed = ipaddr.IPv6.parse(v6);
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String();
}

/** RFC 3461 §4. */
const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})+$/;
const VALUE_CHARS_MAX = 255;

/** Null: it cannot be read, in any of its parts. */
export function parseXclient(argument: string): Announcement | null {
  const words = argument.split(' ').filter((word) => word !== '');
  if (words.length === 0) return null;
  let said: Announcement = {};
  const seen = new Set<string>();
  for (const word of words) {
    const equals = word.indexOf('=');
    const attribute = upperAscii(word.slice(0, Math.max(equals, 0)));
    if (!Object.hasOwn(READERS, attribute) || seen.has(attribute)) return null;
    seen.add(attribute);
    const value = decodedValue(word.slice(equals + 1));
    const fields = value === undefined ? undefined : READERS[attribute as Attribute](value);
    if (fields === undefined) return null;
    said = { ...said, ...fields };
  }
  return said;
}

function decodedValue(text: string): string | null | undefined {
  if (/^\[(?:UNAVAILABLE|TEMPUNAVAIL)\]$/i.test(text)) return null;
  if (!XTEXT.test(text)) return undefined;
  const octets = text.replace(/\+(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const value = decodeUtf8(octets);
  return value === null || value.length > VALUE_CHARS_MAX || hasControls(value) ? undefined : value;
}
