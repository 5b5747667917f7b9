/**
 * IP addresses as the relay sees them: one text per address, the client that counters are kept for, what is not on the
 * public Internet, and lists of networks. Texts are canonical: dotted quads, and IPv6 in lower case per RFC 5952.
 */
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { assert } from '../base/assert.ts';

/**
 * The canonical text of an address: IPv4-mapped IPv6 (what a dual-stack listener reports) as IPv4, without a zone.
 * What is no address comes back as it is: '' for a socket that has closed already.
 */
export function normaliseAddress(text: string): string {
  if (!text.includes(':')) return text;
  const zone = text.indexOf('%');
  const address = zone === -1 ? text : text.slice(0, zone);
  if (!ipaddr.IPv6.isValid(address)) return text;
  const parsed = ipaddr.IPv6.parse(address);
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String();
}

/** Dotted quads and IPv6 texts only: none of the octal and short forms that resolvers of names also take for one. */
export const isAddress = (text: string): boolean => parse(text) !== null;

/**
 * Whom admission counts: an IPv4 address, or the /64 that an IPv6 address is in: a subscriber has at least that much.
 * `address` is normalised. Runs for each connection on the main thread: no parsing beyond what it needs.
 *
 *   192.0.2.7 → "192.0.2.7"     2001:db8:0:1::7 → "2001:db8:0:1"     ::1 → "0:0:0:0"
 */
export function clientKey(address: string): string {
  if (!address.includes(':')) return address;
  const gap = address.indexOf('::');
  const head = (gap === -1 ? address : address.slice(0, gap)).split(':');
  if (head.length >= 4) return head.slice(0, 4).join(':');
  const front = gap === 0 ? [] : head;
  const back = address.length === gap + 2 ? [] : address.slice(gap + 2).split(':');
  const zeros = new Array<string>(8 - front.length - back.length).fill('0');
  return [...front, ...zeros, ...back].slice(0, 4).join(':');
}

export const isLoopback = (address: string): boolean => {
  const parsed = parse(address);
  return parsed !== null && parsed.range() === 'loopback';
};

/**
 * Everything but a unicast address of the public Internet: loopback, RFC 1918, link-local, unique local, shared
 * (RFC 6598), 0/8, multicast, documentation, benchmarks, reserved, and IPv6 forms that carry such an IPv4 address.
 * What is no address is private, too: nobody shall connect to it.
 */
export function isPrivate(address: string): boolean {
  const parsed = parse(address);
  if (parsed === null) return true;
  if (parsed.kind() === 'ipv4') return isPrivateV4(parsed as ipaddr.IPv4);
  const { parts } = parsed as ipaddr.IPv6;
  const range = parsed.range();
  if (range === 'ipv4Mapped') return isPrivateV4((parsed as ipaddr.IPv6).toIPv4Address());
  // Translators and relays take these to the IPv4 address inside: that one decides (RFC 6052 §2.1, RFC 3056 §2).
  if (range === 'rfc6052' && parts[2] === 0) return isPrivateV4(embedded(parts[6]!, parts[7]!));
  if (range === '6to4') return isPrivateV4(embedded(parts[1]!, parts[2]!));
  const isGlobal = (parts[0]! & 0xe000) === 0x2000; // 2000::/3 is all that IANA has given out (RFC 4291 §2.4)
  return range !== 'unicast' || !isGlobal;
}

const isPrivateV4 = (address: ipaddr.IPv4): boolean => address.range() !== 'unicast';

const embedded = (high: number, low: number): ipaddr.IPv4 =>
  new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff]);

/** Null: no address. IPv4-mapped ones are IPv4. */
function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  const text = normaliseAddress(address);
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : null;
}

/** The bits of an address in words of 32, one (IPv4) or four (IPv6), highest first; null: no address. */
export function addressWords(address: string): readonly number[] | null {
  if (isIPv4(address)) return [bitsOfQuads(address)];
  const parsed = parse(address);
  if (parsed === null) return null;
  if (parsed.kind() === 'ipv4') return [bitsOfV4(parsed as ipaddr.IPv4)];
  const { parts } = parsed as ipaddr.IPv6;
  return [0, 2, 4, 6].map((at) => parts[at]! * 0x10000 + parts[at + 1]!);
}

/** One text for all addresses that share their first `bits` bits: `24:c0000200` is 192.0.2.0/24. */
export function prefixKey(words: readonly number[], bits: number): string {
  let key = `${words.length === 1 ? '' : '6:'}${bits}`;
  words.forEach((word, at) => {
    const kept = Math.min(Math.max(bits - at * 32, 0), 32);
    key += `:${(kept === 0 ? 0 : (word & (kept === 32 ? -1 : ~(0xffffffff >>> kept))) >>> 0).toString(16)}`;
  });
  return key;
}

/** A list of networks, asked often: one set of prefixes for each length that occurs. */
export class NetworkSet {
  /** By prefix length; an IPv4 prefix is its bits as a number, an IPv6 prefix its bits as a bigint. */
  readonly #v4 = new Map<number, Set<number>>();
  readonly #v6 = new Map<number, Set<bigint>>();

  /** `cidrs` have been checked by config: a wrong one is a defect. */
  constructor(cidrs: readonly string[]) {
    for (const cidr of cidrs) this.#add(cidr);
  }

  /** False for what is no address. */
  contains(address: string): boolean {
    const words = addressWords(address);
    if (words?.length === 1) {
      for (const [length, prefixes] of this.#v4) if (prefixes.has(prefixV4(words[0]!, length))) return true;
    } else if (words !== null) {
      const bits = words.reduce((all, word) => (all << 32n) | BigInt(word), 0n);
      for (const [length, prefixes] of this.#v6) if (prefixes.has(bits >> BigInt(128 - length))) return true;
    }
    return false;
  }

  #add(cidr: string): void {
    const [address, length] = ipaddr.parseCIDR(cidr);
    if (address.kind() === 'ipv4') put(this.#v4, length, prefixV4(bitsOfV4(address as ipaddr.IPv4), length));
    else {
      const v6 = address as ipaddr.IPv6;
      const mapped = v6.isIPv4MappedAddress() && length >= 96; // ::ffff:10.0.0.0/104 is 10.0.0.0/8
      if (mapped) put(this.#v4, length - 96, prefixV4(bitsOfV4(v6.toIPv4Address()), length - 96));
      else put(this.#v6, length, bitsOfV6(v6) >> BigInt(128 - length));
    }
  }
}

function put<T>(sets: Map<number, Set<T>>, length: number, prefix: T): void {
  const set = sets.get(length);
  if (set === undefined) sets.set(length, new Set([prefix]));
  else set.add(prefix);
}

/** Of a dotted quad, which most clients have. */
const bitsOfQuads = (text: string): number => text.split('.').reduce((bits, octet) => bits * 256 + Number(octet), 0);

const bitsOfV4 = (address: ipaddr.IPv4): number => address.octets.reduce((bits, octet) => bits * 256 + octet, 0);

/** A shift by 32 would be one by none. */
const prefixV4 = (bits: number, length: number): number => (length === 0 ? 0 : bits >>> (32 - length));

const bitsOfV6 = (address: ipaddr.IPv6): bigint =>
  address.parts.reduce((bits, part) => (bits << 16n) | BigInt(part), 0n);

/** The addresses that listeners on `hosts` are reached at: a wildcard stands for all of the machine's. Normalised. */
export function listeningAddresses(hosts: readonly string[]): readonly string[] {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = new Set<string>();
  for (const host of hosts) {
    assert(parse(host) !== null, 'listeners have addresses');
    const family = host === '0.0.0.0' ? ['IPv4'] : host === '::' ? ['IPv4', 'IPv6'] : []; // :: is dual-stack
    if (family.length === 0) found.add(normaliseAddress(host));
    for (const each of own) if (family.includes(each.family)) found.add(normaliseAddress(each.address));
  }
  return [...found];
}
