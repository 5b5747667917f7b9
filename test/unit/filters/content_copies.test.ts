/** Content that filters hold while the chunk that it came in is used again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContentCopies } from '../../../src/filters/content_copies.ts';
import type { PassageListener } from '../../../src/filters/passage.ts';
import { Passage } from '../../../src/filters/passage.ts';

const NOBODY: PassageListener = { onThirst() {}, onContent() {} };

/** Spans of every size, each written from the same memory. */
function written(sizes: readonly number[]): { passages: Passage[]; expected: Buffer } {
  const copies = new ContentCopies();
  const passages = [new Passage(NOBODY), new Passage(NOBODY)];
  const memory = Buffer.alloc(70_000);
  const expected: Buffer[] = [];
  for (const [at, bytes] of sizes.entries()) {
    memory.fill(`${at},`);
    expected.push(Buffer.alloc(bytes, memory.subarray(3, 3 + bytes))); // beside the pool that copies are taken from
    const copy = copies.of(memory, 3, 3 + bytes);
    for (const passage of passages) passage.write(copy.chunk, copy.from, copy.to);
    memory.fill(0);
  }
  for (const passage of passages) passage.end();
  return { passages, expected: Buffer.concat(expected) };
}

test('it stays as it was, for each filter, whatever the spans', async () => {
  const sizes = [1, 1023, 1024, 1025, 5000, 1, 65_536, 2, ...Array.from({ length: 100 }, (_, at) => 17 * at + 1)];
  const { passages, expected } = written(sizes);
  const all = await Promise.all(passages.map((passage) => passage.gather(1_000_000)));
  for (const { pieces, whole } of all) {
    assert.ok(whole);
    assert.ok(Buffer.concat(pieces).equals(expected));
  }
  assert.equal(all[0]!.pieces[0]!.buffer, all[1]!.pieces[0]!.buffer, 'the memory is one');
});

test('many small spans are few pieces, also between large ones', async () => {
  for (const [sizes, most] of [
    [Array.from({ length: 10_000 }, () => 3), 2],
    [Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? 1 : 2000)), 100],
  ] as const) {
    const { passages } = written(sizes);
    const { pieces } = await passages[0]!.gather(1_000_000);
    assert.ok(pieces.length <= most, `${pieces.length}`);
    const memory = new Set(pieces.map(({ buffer }) => buffer));
    const held = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0);
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    assert.ok(held <= 2 * bytes + 32_768, `${held} bytes are held for ${bytes}`);
  }
});

test('what is gathered ends with its bound, and rejects when nobody wants it any more', async () => {
  const passage = new Passage(NOBODY);
  const bytes = Buffer.alloc(100, 'x');
  for (const from of [0, 50]) {
    passage.write(bytes, from, from + 50);
    const gathered = await passage.gather(49);
    assert.deepEqual([gathered.bytes, gathered.whole], [50, false]);
  }
  passage.write(bytes, 0, 50);
  passage.end();
  assert.deepEqual(await passage.gather(50), { pieces: [bytes.subarray(0, 50)], bytes: 50, whole: true });
  const dropped = new Passage(NOBODY);
  dropped.write(bytes, 0, 50);
  const gathering = dropped.gather(1000);
  dropped.drop();
  await assert.rejects(gathering, { reason: 'aborted' });
});
