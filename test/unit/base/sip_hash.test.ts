import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SipHash } from '../../../src/base/sip_hash.ts';

const hex = (hash: SipHash): string => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(hash.low, 0);
  bytes.writeUInt32LE(hash.high, 4);
  return bytes.toString('hex');
};

test('the published vector of the empty text, key 00 01 … 07', () => {
  const hash = new SipHash(0x03020100, 0x07060504);
  hash.update('');
  assert.equal(hex(hash), '218d1f59b9b83cc8');
});

test('another key, another text, another length: another hash', () => {
  const seen = new Set<string>();
  for (const key of [1, 2]) {
    const hash = new SipHash(key, 7);
    for (const text of ['', 'a', 'b', 'ab', 'ba', 'a\0', 'abc', 'abcd', '\u0100', 'a'.repeat(128), 'a'.repeat(127)]) {
      hash.update(text);
      seen.add(hex(hash));
    }
  }
  assert.equal(seen.size, 22);
});
