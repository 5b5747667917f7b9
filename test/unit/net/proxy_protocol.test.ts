/** PROXY headers as balancers write them, whole and byte by byte, and what must not pass for one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Announced } from '../../../src/net/proxy_protocol.ts';
import { crc32c, readProxyHeader } from '../../../src/net/proxy_protocol.ts';

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
const octets = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Version 2: command and version, family and protocol, addresses, TLVs. */
function binary(command: number, family: number, addresses: number[], tlvs: Buffer = Buffer.alloc(0)): Buffer {
  const length = addresses.length + tlvs.length;
  const head = [command, family, length >> 8, length & 0xff];
  return Buffer.concat([octets(SIGNATURE), Buffer.from([...head, ...addresses]), tlvs]);
}

const tlv = (type: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 0xff]), value]);

/** With its checksum as the last TLV. */
function checked(build: (tlvs: Buffer) => Buffer, more: Buffer = Buffer.alloc(0)): Buffer {
  const header = build(Buffer.concat([more, tlv(3, Buffer.alloc(4))]));
  header.writeUInt32BE(crc32c(header), header.length - 4);
  return header;
}

const V4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xc8, 0x2d, 0, 25];
const V6 = [
  ...[0x20, 1, 0x0d, 0xb8, ...Array(11).fill(0), 7],
  ...[0x20, 1, 0x0d, 0xb8, ...Array(12).fill(0)],
  1,
  2,
  0,
  25,
];
const MAPPED = [...Array(10).fill(0), 0xff, 0xff, 192, 0, 2, 7, ...Array(16).fill(0), 1, 2, 0, 25];
const tcp4 = (tlvs?: Buffer) => binary(0x21, 0x11, V4, tlvs);

const client = (address: string, port: number): Announced => ({ tag: 'client', address, port });

describe('headers', () => {
  const table: readonly (readonly [name: string, header: Buffer, announced: Announced])[] = [
    ['1, IPv4', octets('PROXY TCP4 192.0.2.7 198.51.100.1 51234 25\r\n'), client('192.0.2.7', 51234)],
    ['1, IPv6', octets('PROXY TCP6 2001:DB8:0::7 2001:db8::1 1 65535\r\n'), client('2001:db8::7', 1)],
    ['1, IPv4 in IPv6', octets('PROXY TCP6 ::ffff:192.0.2.7 ::1 1 25\r\n'), client('192.0.2.7', 1)],
    ['1, unknown', octets('PROXY UNKNOWN\r\n'), { tag: 'unknown' }],
    ['1, unknown with more', octets('PROXY UNKNOWN ffff::1 what ever 1\r\n'), { tag: 'unknown' }],
    ['1, the longest', octets(`PROXY UNKNOWN ${'f'.repeat(91)}\r\n`), { tag: 'unknown' }],
    ['2, IPv4', tcp4(), client('192.0.2.7', 51245)],
    ['2, IPv6', binary(0x21, 0x21, V6), client('2001:db8::7', 258)],
    ['2, IPv4 in IPv6', binary(0x21, 0x21, MAPPED), client('192.0.2.7', 258)],
    ['2, unspecified', binary(0x21, 0x00, []), { tag: 'unknown' }],
    ['2, unspecified with TLVs', binary(0x21, 0x00, [], tlv(4, Buffer.alloc(9))), { tag: 'unknown' }],
    ['2, local', binary(0x20, 0x00, []), { tag: 'local' }],
    ['2, local with whatever', binary(0x20, 0x31, [1, 2, 3]), { tag: 'local' }],
    [
      '2, with TLVs',
      tcp4(Buffer.concat([tlv(1, octets('smtp')), tlv(0xe0, Buffer.alloc(0))])),
      client('192.0.2.7', 51245),
    ],
    ['2, with a checksum', checked(tcp4), client('192.0.2.7', 51245)],
    ['2, with a checksum and more', checked(tcp4, tlv(5, octets('id'))), client('192.0.2.7', 51245)],
    ['2, the longest', tcp4(tlv(4, Buffer.alloc(505))), client('192.0.2.7', 51245)],
  ];
  for (const [name, header, announced] of table) {
    test(`${name}, whole, byte by byte, and with what follows`, () => {
      for (let bytes = 0; bytes < header.length; bytes++)
        assert.deepEqual(readProxyHeader(header.subarray(0, bytes)), { tag: 'more' }, `${bytes} bytes`);
      const expected = { tag: 'header', announced, bytes: header.length };
      assert.deepEqual(readProxyHeader(header), expected);
      assert.deepEqual(readProxyHeader(Buffer.concat([header, octets('EHLO a\r\n')])), expected);
    });
  }
});

describe('no headers', () => {
  const flipped = checked(tcp4);
  flipped[16] = 193;
  const table: readonly (readonly [name: string, bytes: Buffer])[] = [
    ['a command', octets('EHLO client.example\r\n')],
    ['lower case', octets('proxy TCP4 192.0.2.7 198.51.100.1 1 25\r\n')],
    ['1, LF alone', octets('PROXY TCP4 192.0.2.7 198.51.100.1 1 25\n')],
    ['1, one word short', octets('PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n')],
    ['1, one word more', octets('PROXY TCP4 192.0.2.7 198.51.100.1 1 25 6\r\n')],
    ['1, two spaces', octets('PROXY TCP4  192.0.2.7 198.51.100.1 1 25\r\n')],
    ['1, octal', octets('PROXY TCP4 010.0.0.1 198.51.100.1 1 25\r\n')],
    ['1, short address', octets('PROXY TCP4 10.1 198.51.100.1 1 25\r\n')],
    ['1, number too large', octets('PROXY TCP4 192.0.2.256 198.51.100.1 1 25\r\n')],
    ['1, family of another', octets('PROXY TCP4 ::1 ::1 1 25\r\n')],
    ['1, family of another, too', octets('PROXY TCP6 192.0.2.7 198.51.100.1 1 25\r\n')],
    ['1, port too large', octets('PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n')],
    ['1, port with a zero', octets('PROXY TCP4 192.0.2.7 198.51.100.1 01 25\r\n')],
    ['1, datagrams', octets('PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n')],
    ['1, no end', octets(`PROXY UNKNOWN ${'f'.repeat(93)}`)],
    ['1, too long', octets(`PROXY UNKNOWN ${'f'.repeat(92)}\r\n`)],
    ['1, NUL within', octets('PROXY UNKNOWN \0\r\n')],
    ['2, version 1', binary(0x11, 0x11, V4)],
    ['2, command 2', binary(0x22, 0x11, V4)],
    ['2, datagrams', binary(0x21, 0x12, V4)],
    ['2, datagrams over IPv6', binary(0x21, 0x22, V6)],
    ['2, a Unix socket', binary(0x21, 0x31, Array(216).fill(0x2f))],
    ['2, addresses cut short', binary(0x21, 0x11, V4.slice(1))],
    ['2, IPv4 said to be IPv6', binary(0x21, 0x21, V4)],
    ['2, too long, before all of it is here', binary(0x21, 0x11, V4, Buffer.alloc(509)).subarray(0, 16)],
    ['2, a TLV without its length', tcp4(Buffer.from([4, 0]))],
    ['2, a TLV longer than the header', tcp4(Buffer.from([4, 0, 2, 0]))],
    ['2, a checksum of another header', flipped],
    ['2, a checksum of three bytes', tcp4(tlv(3, Buffer.alloc(3)))],
    ['2, two checksums', checked(tcp4, tlv(3, Buffer.alloc(4)))],
  ];
  for (const [name, bytes] of table) {
    test(name, () => assert.deepEqual(readProxyHeader(bytes), { tag: 'garbage' }));
  }

  test('a wrong byte is noticed when it comes', () => {
    assert.equal(readProxyHeader(octets('PROXZ')).tag, 'garbage');
    assert.equal(readProxyHeader(octets('\r\n\r\n\x01')).tag, 'garbage');
  });
});

test("the checksum is Castagnoli's, by its known values", () => {
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(octets('123456789')), 0xe3069283);
});

test('never asks for more than a header has, whatever comes', () => {
  const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 1.1.1.1 ', SIGNATURE, `${SIGNATURE}\x21\x11`);
  const property = fc.property(start, fc.uint8Array({ maxLength: 700 }), (begin, rest) => {
    const bytes = Buffer.concat([octets(begin), rest]);
    const header = readProxyHeader(bytes);
    if (header.tag === 'more') assert.ok(bytes.length < LIMITS.proxyHeaderBytesMax);
    if (header.tag === 'header') assert.ok(header.bytes <= bytes.length);
  });
  fc.assert(property, { numRuns: 2000 });
});
