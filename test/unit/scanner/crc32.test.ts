/** Our CRC-32 is zlib's: of every length around a block, from every place, and in pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 as zlibs } from 'node:zlib';
import { crc32, nativeCrc32 } from '../../../src/scanner/crc32.ts';
import { chance } from '../../support/chance.ts';

const native = nativeCrc32();
const skip = native === null && 'there is no addon, or the processor lacks what it needs';

const below = chance(20261125);
const bytes = Uint8Array.from({ length: 70_000 }, () => below(256));

test('the check value of the catalogue of CRCs', () => {
  const digits = Buffer.from('123456789');
  for (const sum of [crc32, native ?? crc32]) assert.equal(sum(digits, 0), 0xcbf43926);
});

test('every length up to five blocks, at every offset of one', { skip }, () => {
  for (let length = 0; length <= 320; length++) {
    const from = length % 16;
    const part = bytes.subarray(from, from + length);
    assert.equal(native!(part, 0), zlibs(part), `${length} bytes`);
    assert.equal(native!(part, 0xdeadbeef), zlibs(part, 0xdeadbeef), `${length} bytes, behind others`);
  }
});

test('bytes that are all the same, and long ones', { skip }, () => {
  for (const part of [new Uint8Array(4096), new Uint8Array(4096).fill(255), bytes])
    assert.equal(native!(part, 0), zlibs(part));
});

test('in pieces', () => {
  for (let round = 0; round < 200; round++) {
    let crc = 0;
    let at = 0;
    while (at < bytes.length) {
      const to = Math.min(bytes.length, at + below(20_000));
      crc = crc32(bytes.subarray(at, to), crc);
      at = to;
    }
    assert.equal(crc, zlibs(bytes));
  }
});

test('what is no Uint8Array, or no number, is refused', { skip }, () => {
  const wrong = native as unknown as (...values: unknown[]) => number;
  for (const values of [[], [bytes], ['text', 0], [new Uint16Array(4), 0], [bytes, 'x'], [bytes, 0, 0]])
    assert.throws(() => wrong(...values), TypeError);
});
