/** Reading replies: what is one, and that no bytes at all can do harm. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from 'dns-packet';
import { encode } from 'dns-packet';
import fc from 'fast-check';
import type { DnsAnswer } from '../../../src/net/dns_message.ts';
import { canonicalName, encodeQuery, isReplyTo, readReply } from '../../../src/net/dns_message.ts';
import { replyTo } from '../../support/dns_server.ts';

const NAME = 'mx.example.test';
const QUERY = encodeQuery(0x1234, NAME, 'A');
const ASKED = { id: 0x1234, questions: [{ name: NAME, type: 'A' as const }] };

const a = (name: string, data: string, ttl = 60): Answer => ({ name, type: 'A', class: 'IN', ttl, data });
const reply = (...answers: Answer[]): Buffer => encode(replyTo(ASKED, 0, answers));
const read = (bytes: Buffer): DnsAnswer => readReply(NAME, 'A', bytes);

test('a query asks for recursion, AD, and 1232 bytes', () => {
  assert.equal(QUERY.readUInt16BE(2), 0x0120);
  assert.equal(QUERY.subarray(-11).toString('hex'), '00002904d0000000000000');
});

test('a reply is one to our question, capitals apart, and nothing else is', () => {
  const good = reply(a(NAME, '192.0.2.1'));
  assert.ok(isReplyTo(QUERY, good));
  const capitals = encode(replyTo({ ...ASKED, questions: [{ name: 'MX.Example.TEST', type: 'A' }] }, 0));
  assert.ok(isReplyTo(QUERY, capitals));
  const flipped = (at: number, bits: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes[at] = bytes[at]! ^ bits;
    return bytes;
  };
  const typeAt = 12 + NAME.length + 2;
  const wrong = {
    id: flipped(1, 1),
    'not a reply': flipped(2, 0x80),
    opcode: flipped(2, 0x28),
    'two questions': flipped(5, 3),
    name: flipped(14, 1),
    type: flipped(typeAt + 1, 0x20),
    class: flipped(typeAt + 3, 2),
    short: good.subarray(0, typeAt + 3),
  };
  for (const [what, bytes] of Object.entries(wrong)) assert.ok(!isReplyTo(QUERY, bytes), what);
});

test('capitals in the answer do not matter, and its least TTL counts', () => {
  const answer = read(reply(a('MX.example.TEST', '192.0.2.1', 300), a(NAME, '192.0.2.2', 30)));
  assert.deepEqual(answer, { tag: 'records', records: ['192.0.2.1', '192.0.2.2'], authentic: false, ttlSeconds: 30 });
});

test('a TTL with its highest bit set is zero (RFC 2181 §8)', () => {
  const answer = read(reply(a(NAME, '192.0.2.1', 0x80000000)));
  assert.equal(answer.tag === 'records' && answer.ttlSeconds, 0);
});

test('records of another class are not ours', () => {
  const answer = read(reply({ ...a(NAME, '192.0.2.1'), class: 'CH' } as Answer));
  assert.equal(answer.tag === 'none' && answer.why, 'nodata');
});

test('"there is none" without a SOA is not to be kept (RFC 2308 §5)', () => {
  assert.deepEqual(read(encode(replyTo(ASKED, 3))), { tag: 'none', why: 'nxdomain', authentic: false, ttlSeconds: 0 });
});

test('a record whose length does not fit its type is malformed', () => {
  const bytes = reply(a(NAME, '192.0.2.1'));
  const lengthAt = bytes.length - 6;
  assert.equal(bytes.readUInt16BE(lengthAt), 4);
  const long = Buffer.concat([bytes, Buffer.from([9])]);
  long.writeUInt16BE(5, lengthAt);
  assert.deepEqual(read(long), { tag: 'failed', reason: 'malformed' });
  assert.deepEqual(read(bytes.subarray(0, -1)), { tag: 'failed', reason: 'malformed' });
});

test('a reply cut at any byte is read as malformed, and never as an answer', () => {
  const whole = reply(a(NAME, '192.0.2.1'), a(NAME, '192.0.2.2'));
  for (let bytes = 0; bytes < whole.length; bytes++) {
    const cut = whole.subarray(0, bytes);
    if (isReplyTo(QUERY, cut)) assert.deepEqual(read(cut), { tag: 'failed', reason: 'malformed' }, `${bytes} bytes`);
  }
});

test('no bytes behind the question make it throw, or give an address that is none', () => {
  const question = encode(replyTo(ASKED, 0));
  const counts = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 3, maxLength: 3 });
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constant(Buffer.from('c00c00010001', 'hex')),
    fc.constant(Buffer.from('c00c0005000100000001', 'hex')),
    fc.constant(Buffer.from('0004c0000201c00c', 'hex')),
  );
  fc.assert(
    fc.property(counts, fc.array(piece, { maxLength: 6 }), fc.boolean(), (numbers, pieces, gone) => {
      const bytes = Buffer.concat([question, ...pieces]);
      for (const [at, count] of numbers.entries()) bytes.writeUInt16BE(count, 6 + 2 * at);
      if (gone) bytes[3] = bytes[3]! | 3;
      const answer = read(bytes);
      if (answer.tag !== 'records') return;
      for (const record of answer.records) assert.match(String(record), /^\d{1,3}(\.\d{1,3}){3}$/);
    }),
    { numRuns: 3000 },
  );
});

test('names are made canonical or refused', () => {
  assert.equal(canonicalName('Example.TEST.'), 'example.test');
  assert.equal(canonicalName('_25._tcp.mx.test'), '_25._tcp.mx.test');
  assert.equal(canonicalName(`${'x'.repeat(63)}.test`), `${'x'.repeat(63)}.test`);
  for (const name of ['', '.', 'a..b', '.a', 'a b', `${'x'.repeat(64)}.test`, 'x.'.repeat(128), 'ü.test', 'a\\b'])
    assert.equal(canonicalName(name), null, JSON.stringify(name));
});
