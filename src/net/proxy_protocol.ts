/**
 * The header by which a balancer says whom it speaks for (the PROXY protocol of HAProxy, versions 1 and 2), from bytes
 * to value. Pure. Read only where the balancer is listed: from anybody else it would be a way to be whoever one likes.
 *
 *   1   PROXY TCP4 192.0.2.7 198.51.100.1 51234 25 CRLF        PROXY UNKNOWN … CRLF
 *
 *   2   0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A │ 2·command │ family·protocol │ length, 16 bits │ addresses │ TLVs
 *       └ signature, 12 bytes ────────────┘   0 LOCAL     1 IPv4, 2 IPv6              4+4+2+2 or 16+16+2+2
 *                                             1 PROXY     1 stream
 *
 * Strict: whoever writes it is a program that we were told to trust, and what it did not mean must not pass. TLVs are
 * skipped, but for the checksum, which must hold where it is given. AF_UNIX and datagrams are no clients of SMTP.
 */
import { LIMITS } from '../config/limits.ts';
import { isAddress, normaliseAddress } from './addresses.ts';

/** `local`: the balancer speaks for itself, as for a health check. `unknown`: for somebody that it cannot name. */
export type Announced =
  | { readonly tag: 'client'; readonly address: string; readonly port: number }
  | { readonly tag: 'local' | 'unknown' };

export type ProxyHeader =
  | { readonly tag: 'more' }
  | { readonly tag: 'garbage' }
  | { readonly tag: 'header'; readonly announced: Announced; readonly bytes: number };

const MORE: ProxyHeader = { tag: 'more' };
const GARBAGE: ProxyHeader = { tag: 'garbage' };

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const WORD = Uint8Array.from('PROXY ', (char) => char.charCodeAt(0));
const FIXED_BYTES = 16;
/** With its CRLF: the longest that version 1 can be. */
const LINE_BYTES_MAX = 107;
const LF = 10;
const CR = 13;

/** Reads the header that a connection begins with. `bytes` is all that has come so far. */
export function readProxyHeader(bytes: Uint8Array): ProxyHeader {
  if (begins(bytes, SIGNATURE)) return bytes.length < FIXED_BYTES ? MORE : readBinary(bytes);
  if (begins(bytes, WORD)) return readLine(bytes);
  return GARBAGE;
}

/** As far as there is something to compare. */
function begins(bytes: Uint8Array, start: Uint8Array): boolean {
  const length = Math.min(bytes.length, start.length);
  for (let at = 0; at < length; at++) if (bytes[at] !== start[at]) return false;
  return true;
}

function readLine(bytes: Uint8Array): ProxyHeader {
  const lf = bytes.subarray(0, LINE_BYTES_MAX).indexOf(LF);
  if (lf === -1) return bytes.length >= LINE_BYTES_MAX ? GARBAGE : MORE;
  if (bytes[lf - 1] !== CR) return GARBAGE;
  const line = String.fromCharCode(...bytes.subarray(0, lf - 1));
  const header = (announced: Announced): ProxyHeader => ({ tag: 'header', announced, bytes: lf + 1 });
  // "The receiver must ignore anything presented before the CRLF": but it is a line, so no bare CR and no binary.
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/.test(line)) return header({ tag: 'unknown' });
  const found = /^PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (\d{1,5}) (\d{1,5})$/.exec(line);
  if (found === null) return GARBAGE;
  const [, family, from, to, fromPort, toPort] = found as unknown as readonly string[];
  if (!isOfFamily(from!, family!) || !isOfFamily(to!, family!)) return GARBAGE;
  const [port, theirs] = [portOf(fromPort!), portOf(toPort!)];
  if (port === null || theirs === null) return GARBAGE;
  return header({ tag: 'client', address: normaliseAddress(from!), port });
}

/** Canonical quads, so that no two programs read `010.0.0.1` in two ways. */
const QUADS = /^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})$/;

const isOfFamily = (text: string, family: string): boolean =>
  isAddress(text) && (family === '4' ? QUADS.test(text) : text.includes(':'));

function portOf(text: string): number | null {
  const port = Number(text);
  return port > 65_535 || (text.length > 1 && text.startsWith('0')) ? null : port;
}

/** Bytes of the addresses and ports, by the byte of family and protocol; what is not here is refused. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x21, 36],
]);

function readBinary(bytes: Uint8Array): ProxyHeader {
  const end = FIXED_BYTES + bytes[14]! * 256 + bytes[15]!;
  if (end > LIMITS.proxyHeaderBytesMax) return GARBAGE;
  const command = bytes[12]!;
  if (command !== 0x20 && command !== 0x21) return GARBAGE;
  if (bytes.length < end) return MORE;
  const header = (announced: Announced): ProxyHeader => ({ tag: 'header', announced, bytes: end });
  if (command === 0x20) return header({ tag: 'local' }); // the rest is to be discarded, the family with it
  const addressBytes = ADDRESS_BYTES.get(bytes[13]!);
  if (addressBytes === undefined || FIXED_BYTES + addressBytes > end) return GARBAGE;
  if (!areTlvsSound(bytes, FIXED_BYTES + addressBytes, end)) return GARBAGE;
  if (addressBytes === 0) return header({ tag: 'unknown' });
  const portAt = FIXED_BYTES + (addressBytes === 12 ? 8 : 32);
  const source = bytes.subarray(FIXED_BYTES, FIXED_BYTES + (addressBytes === 12 ? 4 : 16));
  return header({ tag: 'client', address: addressOf(source), port: bytes[portAt]! * 256 + bytes[portAt + 1]! });
}

function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => (bytes[2 * at]! * 256 + bytes[2 * at + 1]!).toString(16));
  return normaliseAddress(groups.join(':'));
}

const TLV_HEAD_BYTES = 3;
const TLV_CRC32C = 0x03;

/** They end where the header does, and the checksum over all of it holds (itself counted as zeros). */
function areTlvsSound(bytes: Uint8Array, from: number, end: number): boolean {
  let crcAt = 0;
  let at = from;
  while (at < end) {
    if (at + TLV_HEAD_BYTES > end) return false;
    const length = bytes[at + 1]! * 256 + bytes[at + 2]!;
    const valueAt = at + TLV_HEAD_BYTES;
    if (valueAt + length > end) return false;
    if (bytes[at] === TLV_CRC32C) {
      if (crcAt !== 0 || length !== 4) return false;
      crcAt = valueAt;
    }
    at = valueAt + length;
  }
  if (crcAt === 0) return true;
  const said = new DataView(bytes.buffer, bytes.byteOffset).getUint32(crcAt);
  const zeroed = new Uint8Array(bytes.subarray(0, end)).fill(0, crcAt, crcAt + 4); // a copy
  return crc32c(zeroed) === said;
}

/** Bit by bit: headers are short, and few carry one. Castagnoli's polynomial, reflected. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
