/**
 * Queries and replies of DNS as bytes (RFC 1035 §4), on top of dns-packet. Pure: bytes in, values out.
 *
 * A reply is read in two steps. `isReplyTo` looks at fixed places and decides whether this answers our question at all;
 * what fails there is nobody's answer and is dropped. `readReply` decodes what passed, and believes only records that
 * the question leads to: those of the name asked for, and of the names that its CNAMEs point to.
 *
 * The query asks with the AD bit set, which is how a client without DO says that it wants to know whether the data is
 * authentic (RFC 6840 §5.7): the same knowledge as with DO, without signatures that would truncate every other answer.
 */
import type { Answer, DecodedPacket, OptAnswer } from 'dns-packet';
import { AUTHENTIC_DATA, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { assert } from '../base/assert.ts';
import { LIMITS } from '../config/limits.ts';

/** `exchange` like all names here: lower case, no dot at the end; '' is the root, as in a null MX (RFC 7505 §3). */
export type Mx = { readonly preference: number; readonly exchange: string };
/** RFC 6698 §2.1. */
export type Tlsa = {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly certificate: Buffer;
};

/** What a record of each type holds. */
export type RecordOf = {
  readonly A: string;
  readonly AAAA: string;
  readonly CNAME: string;
  readonly MX: Mx;
  readonly PTR: string;
  readonly TLSA: Tlsa;
  /** The character-strings of one record joined (RFC 7208 §3.3), one char per byte. */
  readonly TXT: string;
};
export type DnsType = keyof RecordOf;

export type DnsFailure =
  /** No server answered in time. */
  | 'timeout'
  /** No server could be reached: the system said so at once. */
  | 'unreachable'
  | 'servfail'
  /** Any other code that is not an answer: REFUSED, FORMERR, NOTIMP, BADVERS. */
  | 'refused'
  /** A reply to our question that cannot be read. */
  | 'malformed'
  /** CNAMEs in a circle, or too many. */
  | 'loop'
  /** Above one of ours: records or text bytes of an answer, look-ups waiting. */
  | 'limit';

/** What DNS says. `authentic` is the resolver's word (AD), worth what the way to it is: for DANE, loopback only. */
export type DnsAnswer<T extends DnsType = DnsType> =
  | {
      readonly tag: 'records';
      /** In the order of the reply; never empty. */
      readonly records: readonly RecordOf[T][];
      readonly authentic: boolean;
      readonly ttlSeconds: number;
    }
  | {
      readonly tag: 'none';
      /** The name does not exist; or it does, without such a record (RFC 2308 §2). */
      readonly why: 'nxdomain' | 'nodata';
      readonly authentic: boolean;
      readonly ttlSeconds: number;
    }
  | { readonly tag: 'failed'; readonly reason: DnsFailure };

/** RFC 6891 §6.2.5: fits into one unfragmented packet on any path. */
const EDNS: OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};
const HEADER_BYTES = 12;
/** RFC 1035 §2.3.4: 255 octets on the wire, length bytes included. */
const NAME_CHARS_MAX = 253;
/** dns-packet writes what it is given: a longer label would become a compression pointer. No spaces, no escapes. */
const LABEL = /^[\x21-\x2d\x2f-\x5b\x5d-\x7e]{1,63}$/;
const RCODE_SERVFAIL = 2;
const RCODE_NXDOMAIN = 3;

/** Lower case, without the dot at the end, or null where DNS cannot hold such a name. */
export function canonicalName(text: string): string | null {
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase();
  return name.length <= NAME_CHARS_MAX && name.split('.').every((label) => LABEL.test(label)) ? name : null;
}

/** `name` is canonical. */
export const encodeQuery = (id: number, name: string, type: DnsType): Buffer =>
  encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ name, type }],
    additionals: [EDNS],
  });

/** The question of `query`, which is ours: from the header to its class. */
function questionEnd(query: Buffer): number {
  let at = HEADER_BYTES;
  while (query[at] !== 0) at += query[at]! + 1;
  return at + 5;
}

/** Same id, an answer, and our question word for word, capitals apart (RFC 5452 §9.1, §4.2). */
export function isReplyTo(query: Buffer, reply: Buffer): boolean {
  const end = questionEnd(query);
  if (reply.length < end || reply[0] !== query[0] || reply[1] !== query[1]) return false;
  const isQueryReply = (reply[2]! & 0xf8) === 0x80; // QR, opcode QUERY
  if (!isQueryReply || reply.readUInt16BE(4) !== 1) return false;
  for (let at = HEADER_BYTES; at < end; at++) {
    if (lower(query[at]!) !== lower(reply[at]!)) return false; // lengths, types and class of ours are no capitals
  }
  return true;
}

const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte);

/** The reply's TC bit: ask again over TCP (RFC 7766 §5). */
export const isTruncated = (reply: Buffer): boolean => (reply[2]! & 0x02) !== 0;

/** `reply` has passed `isReplyTo`. TTLs are as found; the cache clamps them. Never throws. */
export function readReply(name: string, type: DnsType, reply: Buffer): DnsAnswer {
  const rcode = reply[3]! & 0x0f;
  if (rcode === RCODE_SERVFAIL) return failed('servfail');
  if (rcode !== 0 && rcode !== RCODE_NXDOMAIN) return failed('refused');
  const others = reply.readUInt16BE(8) + reply.readUInt16BE(10);
  if (reply.readUInt16BE(6) > LIMITS.dnsRecordsMax || others > LIMITS.dnsRecordsMax) return failed('limit');
  let packet: DecodedPacket;
  try {
    packet = decode(reply);
  } catch {
    return failed('malformed');
  }
  // dns-packet trusts the length of a record less than its type: where they differ, the end of the packet shows it.
  if (decode.bytes !== reply.length) return failed('malformed');
  if (extendedRcode(packet) !== 0) return failed('refused');
  const answers = (packet.answers ?? []).filter((answer) => 'class' in answer && answer.class === 'IN');
  const authentic = packet.flag_ad;
  if (rcode === RCODE_NXDOMAIN) return { tag: 'none', why: 'nxdomain', authentic, ttlSeconds: negativeTtl(packet) };
  return follow(name, type, answers, packet);
}

const failed = (reason: DnsFailure): DnsAnswer => ({ tag: 'failed', reason });

/** From the name asked for along its CNAMEs (RFC 1034 §3.6.2). Records of any other name are not looked at. */
function follow(name: string, type: DnsType, answers: readonly Answer[], packet: DecodedPacket): DnsAnswer {
  const authentic = packet.flag_ad;
  let owner = name;
  let ttlSeconds = Number.POSITIVE_INFINITY;
  for (let hop = 0; hop <= LIMITS.dnsAliasesMax; hop++) {
    const owned = answers.filter((answer) => nameOf(answer.name) === owner);
    const found = owned.filter((answer) => answer.type === type);
    if (found.length > 0) {
      const records = found.map(readRecord);
      if (textBytes(records) > LIMITS.dnsTextBytesMax) return failed('limit');
      return { tag: 'records', records, authentic, ttlSeconds: Math.min(ttlSeconds, ...found.map(ttlOf)) };
    }
    const alias = owned.find((answer) => answer.type === 'CNAME');
    if (alias?.type !== 'CNAME')
      return { tag: 'none', why: 'nodata', authentic, ttlSeconds: Math.min(ttlSeconds, negativeTtl(packet)) };
    owner = nameOf(alias.data);
    ttlSeconds = Math.min(ttlSeconds, ttlOf(alias));
  }
  return failed('loop');
}

const nameOf = (text: string): string => (text === '.' ? '' : text.toLowerCase());

/** RFC 2181 §8: with the highest bit set it is zero. */
const ttlOf = (answer: Answer): number => {
  const ttl = 'ttl' in answer ? (answer.ttl ?? 0) : 0;
  return ttl > 0x7fffffff ? 0 : ttl;
};

/** RFC 2308 §5: the lesser of the SOA's own TTL and its MINIMUM; without a SOA, not to be kept. */
function negativeTtl(packet: DecodedPacket): number {
  const soa = packet.authorities?.find((answer) => answer.type === 'SOA');
  return soa?.type === 'SOA' ? Math.min(ttlOf(soa), soa.data.minimum ?? 0) : 0;
}

/** RFC 6891 §6.1.3: the upper bits of a code whose lower four may look like success. */
function extendedRcode(packet: DecodedPacket): number {
  const opt = packet.additionals?.find((answer) => answer.type === 'OPT');
  return opt?.type === 'OPT' ? opt.extendedRcode : 0;
}

function readRecord(answer: Answer): RecordOf[DnsType] {
  switch (answer.type) {
    case 'A':
    case 'AAAA':
      return answer.data;
    case 'CNAME':
    case 'PTR':
      return nameOf(answer.data);
    case 'MX':
      return { preference: answer.data.preference ?? 0, exchange: nameOf(answer.data.exchange) };
    case 'TLSA':
      return { ...answer.data, certificate: Buffer.from(answer.data.certificate) }; // not a view of the whole packet
    case 'TXT':
      return (answer.data as Buffer[]).map((part) => part.toString('latin1')).join('');
    default:
      assert(false, 'only records of a type that was asked for are read');
  }
}

function textBytes(records: readonly RecordOf[DnsType][]): number {
  let bytes = 0;
  for (const record of records) if (typeof record === 'string') bytes += record.length;
  return bytes;
}
