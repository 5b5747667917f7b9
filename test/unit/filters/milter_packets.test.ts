/** Milter packets come out as they went in, wherever the stream is cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FilterFailure } from '../../../src/filters/filter.ts';
import { macroPacket, PacketReader, packet, texts, textsOf } from '../../../src/filters/milter_packets.ts';
import { number, reply } from '../../support/fake_milter.ts';

function readAll(stream: Buffer, pieceBytes: number): string[] {
  const reader = new PacketReader();
  const found: string[] = [];
  for (let at = 0; at < stream.length; at += pieceBytes) {
    reader.feed(stream.subarray(at, at + pieceBytes));
    for (let next = reader.next(); next !== null; next = reader.next())
      found.push(`${next.tag} ${next.fields.toString('latin1')}`);
  }
  return [...found, `${reader.pending} left`];
}

test('replies, cut at every byte', () => {
  const stream = Buffer.concat([reply('c'), reply('h', 'A\0b\0'), reply('p'), reply('y', '550 no\0'), number(7)]);
  const expected = ['continue ', 'addHeader A\0b\0', 'progress ', 'replyCode 550 no\0', '4 left'];
  for (let pieceBytes = 1; pieceBytes <= stream.length; pieceBytes++) {
    assert.deepEqual(readAll(stream, pieceBytes), expected, `in pieces of ${pieceBytes}`);
  }
});

test('a large packet byte by byte costs no more than its bytes', () => {
  const [only] = readAll(reply('b', Buffer.alloc(100_000, 'x')), 1);
  assert.equal(only!.length, 'replaceBody '.length + 100_000);
});

test('lengths and letters that cannot be', () => {
  for (const bytes of [number(0), number(200_000), number(0xffffffff)])
    assert.throws(() => readAll(Buffer.concat([bytes, Buffer.from('c')]), 9), FilterFailure);
  for (const letter of ['Z', '\0', 'A', 'toString'[0]!.toUpperCase()])
    assert.throws(() => readAll(reply(letter), 9), FilterFailure);
});

test('any bytes are packets or a failure', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 1, max: 60 }), (bytes, pieceBytes) => {
      try {
        readAll(Buffer.from(bytes), pieceBytes);
      } catch (error) {
        assert.ok(error instanceof FilterFailure);
      }
    }),
  );
});

test('commands', () => {
  assert.equal(packet('endOfBody').toString('latin1'), '\0\0\0\x01E');
  assert.equal(packet('body', null, 3).toString('latin1'), '\0\0\0\x04B');
  assert.equal(packet('helo', texts('a\0b')).toString('latin1'), '\0\0\0\x04Hab\0');
  assert.equal(macroPacket('mail', ['i', 'x', '{mail_addr}', 'ü']).toString(), '\0\0\0\x15DMi\0x\0{mail_addr}\0ü\0');
});

test('texts of a reply', () => {
  assert.deepEqual(textsOf(Buffer.from('a\0b\0'), 1, 2), ['a', 'b']);
  assert.deepEqual(textsOf(Buffer.from('a\0b'), 1, 2), ['a', 'b']);
  assert.deepEqual(textsOf(Buffer.from('a\0\0'), 1, 2), ['a', '']);
  for (const [bytes, min, max] of [
    ['', 1, 2],
    ['a\0b\0c\0', 1, 2],
    ['\xff\0', 1, 1],
  ] as const)
    assert.throws(() => textsOf(Buffer.from(bytes, 'latin1'), min, max), FilterFailure);
});
