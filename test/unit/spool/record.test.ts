import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import type { Envelope } from '../../../src/message/envelope.ts';
import { packMarks, packMessage, unpackMarks, unpackMessage } from '../../../src/spool/bodies.ts';
import {
  BLOCK_BYTES,
  decodeFrame,
  decodeSegmentHeader,
  encodeRecord,
  encodeSegmentHeader,
  FRAME_HEADER_BYTES,
  frameBytesOf,
  KIND,
  peekRecord,
  SEGMENT_HEADER_BYTES,
} from '../../../src/spool/record.ts';
import type { RecipientState } from '../../../src/spool/spool.ts';

const LIFE = { generation: 7, salt: 0xdeacde };
const HEADER = {
  ...LIFE,
  segmentBytes: 1 << 20,
  firstSequence: 2 ** 40 + 5,
  durable: 2 ** 40 + 4,
  previous: { generation: 6, salt: 99 },
};

function record(meta: Buffer, content: Buffer | null, contentCrc: number, sequence = 2 ** 33 + 1): Buffer {
  const bytes = frameBytesOf(meta.length, content?.length ?? 0);
  const target = Buffer.alloc(bytes, 0xee);
  const frame = {
    kind: KIND.message,
    sequence,
    durable: sequence - 1,
    metaBytes: meta.length,
    contentBytes: content?.length ?? 0,
    contentCrc,
  };
  assert.equal(encodeRecord(target, 0, LIFE, frame, meta, content), bytes);
  return target;
}

test('a record is what it was, and takes a multiple of 8 bytes', () => {
  const bytes = record(Buffer.from('meta'), Buffer.from('content'), 0xda7d8a20);
  assert.equal(bytes.length % 8, 0);
  assert.equal(peekRecord(bytes, 0, LIFE), FRAME_HEADER_BYTES + 11);
  assert.equal(peekRecord(bytes, 0, { ...LIFE, generation: 8 }), 0);
  assert.equal(peekRecord(bytes, 0, { ...LIFE, salt: 1 }), 0);
});

test('the bytes on disk are those of format 3', () => {
  const bytes = record(Buffer.from('meta'), null, 0, 2);
  assert.equal(
    bytes.toString('hex'),
    '50524543' +
      bytes.subarray(4, 8).toString('hex') +
      '07000000' +
      'deacde00' +
      '01000000' +
      '04000000' +
      '00000000' +
      '00000000' +
      '0200000000000000' +
      '0100000000000000' +
      '6d65746100000000',
  );
  const header = Buffer.alloc(BLOCK_BYTES, 0xee);
  encodeSegmentHeader(header, 0, HEADER);
  assert.equal(
    header.subarray(0, SEGMENT_HEADER_BYTES).toString('hex'),
    '50534547' +
      '03000000' +
      header.subarray(8, 12).toString('hex') +
      '07000000' +
      'deacde00' +
      '00001000' +
      '0500000000010000' +
      '0400000000010000' +
      '06000000' +
      '63000000',
  );
});

test('one flipped bit anywhere in a record is noticed', () => {
  const meta = Buffer.from('the meta');
  const content = Buffer.from('the content, every byte of it');
  const bytes = record(meta, content, crc32(content));
  assert.notEqual(decodeFrame(bytes, 0), null);
  for (let bit = 0; bit < (FRAME_HEADER_BYTES + meta.length + content.length) * 8; bit++) {
    const bad = Buffer.from(bytes);
    bad[bit >> 3]! ^= 1 << (bit & 7);
    const size = peekRecord(bad, 0, LIFE);
    if (size === 0 || size > bad.length) continue;
    assert.equal(decodeFrame(bad, 0), null, `bit ${bit}`);
  }
});

test('a segment header tells blank, damaged and unknown apart', () => {
  const block = Buffer.alloc(BLOCK_BYTES);
  assert.deepEqual(decodeSegmentHeader(block), { tag: 'blank' });
  encodeSegmentHeader(block, 0, HEADER);
  assert.deepEqual(decodeSegmentHeader(block), { tag: 'header', header: HEADER });
  for (let at = 8; at < SEGMENT_HEADER_BYTES; at++) {
    const bad = Buffer.from(block);
    bad[at]! ^= 0x10;
    assert.deepEqual(decodeSegmentHeader(bad), { tag: 'damaged' }, `byte ${at}`);
  }
  block.writeUInt32LE(2, 4);
  assert.deepEqual(decodeSegmentHeader(block), { tag: 'header', header: HEADER });
  for (const version of [1, 4, 2 ** 32 - 1]) {
    block.writeUInt32LE(version, 4);
    assert.deepEqual(decodeSegmentHeader(block), { tag: 'version', version });
  }
  assert.deepEqual(decodeSegmentHeader(Buffer.from('garbage'.repeat(10))), { tag: 'damaged' });
});

const text = fc.string({ unit: 'grapheme', maxLength: 30 });
const envelope: fc.Arbitrary<Envelope> = fc
  .record(
    {
      id: text,
      origin: fc.constantFrom('outside' as const, 'inside' as const, 'local' as const),
      acceptedMs: fc.nat({ max: 2 ** 45 }),
      sender: text,
      smtpUtf8: fc.boolean(),
      ret: fc.constantFrom('full' as const, 'headers' as const),
      envid: text,
      recipients: fc.array(
        fc.record(
          {
            address: text,
            notify: fc.constantFrom('never' as const, ['success', 'delay'] as const),
            orcpt: text,
            route: text,
          },
          { requiredKeys: ['address'], noNullPrototype: true },
        ),
        { minLength: 1, maxLength: 5 },
      ),
      content: fc.record(
        {
          bytes: fc.nat(),
          dotted: fc.boolean(),
          eightBit: fc.boolean(),
          endsInCrlf: fc.boolean(),
          headerBytes: fc.nat(),
        },
        { noNullPrototype: true },
      ),
      edits: fc.array(fc.record({ at: fc.nat(), drop: fc.nat(), insert: text }, { noNullPrototype: true }), {
        maxLength: 3,
      }),
    },
    {
      requiredKeys: ['id', 'origin', 'acceptedMs', 'sender', 'smtpUtf8', 'recipients', 'content', 'edits'],
      noNullPrototype: true,
    },
  )
  .map((value) => value as Envelope);

test('an envelope comes back as it went', () => {
  fc.assert(
    fc.property(
      envelope,
      fc.option(fc.record({ name: text, bytes: fc.nat(), crc: fc.nat() }, { noNullPrototype: true })),
      (sent, file) => {
        const body = { key: 2 ** 41, envelope: sent, states: null, file };
        assert.deepEqual(unpackMessage(Buffer.from(packMessage(body))), body);
      },
    ),
  );
});

test('a recipient without a route is written as it ever was', () => {
  const from = (recipient: readonly unknown[]): Envelope['recipients'] => {
    const [content, edits] = [[0, false, false, true, 0], []];
    const body = [0, 'x', 'inside', 1, '', false, null, null, [recipient], content, edits, null, null];
    const packed = new Packr({ useRecords: false, moreTypes: false }).pack(body).toString('hex');
    const read = unpackMessage(Buffer.from(packed, 'hex'));
    assert.equal(packMessage(read).toString('hex'), packed);
    return read.envelope.recipients;
  };
  assert.deepEqual(from(['a@b', null, null]), [{ address: 'a@b' }]);
  assert.deepEqual(from(['a@b', 'never', 'rfc822;a']), [{ address: 'a@b', notify: 'never', orcpt: 'rfc822;a' }]);
  assert.deepEqual(from(['a@b', null, null, 'smtp://q:25']), [{ address: 'a@b', route: 'smtp://q:25' }]);
});

test('states come back as they went, held ones as well', () => {
  const sent: Envelope = {
    id: 'x',
    origin: 'inside',
    acceptedMs: 1,
    sender: '',
    smtpUtf8: false,
    recipients: ['a', 'b', 'c', 'd'].map((address) => ({ address })),
    content: { bytes: 0, dotted: false, eightBit: false, endsInCrlf: true, headerBytes: 0 },
    edits: [],
  };
  const waiting = { tag: 'waiting', attempts: 3, site: 'mx a', detail: '451 4.7.1 später', warned: true } as const;
  const states: RecipientState[] = [
    { tag: 'delivered' },
    { ...waiting, nextMs: 1_800_000_000_000 },
    { ...waiting, nextMs: Number.POSITIVE_INFINITY },
    { tag: 'failed' },
  ];
  const body = { key: 5, envelope: sent, states, file: null };
  assert.deepEqual(unpackMessage(Buffer.from(packMessage(body))), body);
  const marks = { key: 5, changes: [2, 0, 1].map((recipient) => ({ recipient, state: states[recipient]! })) };
  assert.deepEqual(unpackMarks(Buffer.from(packMarks(marks))), marks);
});

test('a body that is not ours is refused', () => {
  assert.throws(() => unpackMessage(Buffer.from([0x93, 1, 2, 3])), TypeError);
  assert.throws(() => unpackMarks(Buffer.from([0x92, 1, 2])), TypeError);
});
