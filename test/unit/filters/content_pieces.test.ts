/** Content that filters hold while the chunk that it came in is used again, in memory that goes round. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContentPieces, Piece, PiecePools } from '../../../src/filters/content_pieces.ts';
import type { PassageListener } from '../../../src/filters/passage.ts';
import { Passage } from '../../../src/filters/passage.ts';

const NOBODY: PassageListener = { onThirst() {}, onContent() {} };

type Written = { readonly pools: PiecePools; readonly passages: Passage[]; readonly expected: Buffer };

/** Spans of every size, each written from the same memory, to two filters. */
function written(sizes: readonly number[], pools = new PiecePools()): Written {
  const pieces = new ContentPieces(pools);
  const passages = [new Passage(NOBODY), new Passage(NOBODY)];
  const memory = Buffer.alloc(70_000);
  const expected: Buffer[] = [];
  for (const [at, bytes] of sizes.entries()) {
    memory.fill(`${at},`);
    expected.push(Buffer.from(memory.subarray(3, 3 + bytes)));
    pieces.write(memory, 3, 3 + bytes, (piece, from, to) => {
      for (const passage of passages) passage.write(piece, from, to);
    });
    memory.fill(0);
  }
  pieces.end();
  for (const passage of passages) passage.end();
  return { pools, passages, expected: Buffer.concat(expected) };
}

const out = ({ first, further }: PiecePools): number[] => [first.taken, further.taken];

async function readAll(passage: Passage): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for (let chunk = await passage.read(); chunk !== null; chunk = await passage.read()) all.push(chunk);
  return all;
}

test('it stays as it was, for each filter, whatever the spans', async () => {
  const sizes = [1, 1023, 1024, 1025, 5000, 1, 65_536, 2, ...Array.from({ length: 100 }, (_, at) => 17 * at + 1)];
  const { passages, expected } = written(sizes);
  const [one, two] = await Promise.all(passages.map(readAll));
  for (const all of [one!, two!]) assert.ok(Buffer.concat(all).equals(expected));
  assert.equal(one![0]!.buffer, two![0]!.buffer, 'the memory is one');
});

test('however small the spans are, few bytes are few pieces', async () => {
  for (const sizes of [
    Array.from({ length: 10_000 }, () => 3),
    Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? 1 : 2000)),
  ]) {
    const { pools, passages, expected } = written(sizes);
    const most = 1 + Math.ceil(Math.max(0, expected.length - 16_384) / 32_768);
    assert.equal(out(pools)[0]! + out(pools)[1]!, most);
    assert.equal((await readAll(passages[0]!)).length, most);
  }
});

test('a piece is used again as soon as all have done with it, and not before', async () => {
  const { pools, passages, expected } = written([30_000, 60_000]);
  const [one, two] = passages as [Passage, Passage];
  const pieces = out(pools);
  const all = await readAll(one);
  one.done();
  assert.deepEqual(out(pools), pieces, 'the other has not read it');
  const lent = await readAll(two);
  assert.deepEqual(out(pools), pieces, 'it may still be sending');
  const next = written([1000, 60_000], pools);
  assert.ok(Buffer.concat(all).equals(expected) && Buffer.concat(lent).equals(expected), 'the next one has its own');
  two.done();
  const read = await Promise.all(next.passages.map(readAll));
  for (const passage of next.passages) passage.done();
  assert.deepEqual(out(pools), [0, 0]);
  const again = written([1000], pools).passages[0]!;
  const memories = new Set([...all, ...read.flat()].map(({ buffer }) => buffer));
  assert.ok(memories.has((await readAll(again))[0]!.buffer), 'the memory goes round');
});

test('what may still be in a socket when its examination ends is never written to again', async () => {
  const { pools, passages, expected } = written([10_000]);
  const [one, two] = passages as [Passage, Passage];
  const lent = await readAll(one);
  one.close();
  await readAll(two);
  two.done();
  two.close();
  assert.deepEqual(out(pools), [0, 0], 'nobody waits for it');
  for (let again = 0; again < 3; again++) written([16_000], pools);
  assert.ok(Buffer.concat(lent).equals(expected));
});

test('what nobody has read comes back with the end of its examination', () => {
  const { pools, passages } = written([50_000]);
  passages[0]!.drop();
  passages[1]!.close();
  assert.deepEqual(out(pools), [0, 0]);
});

test('what is gathered whole is a copy, ends with its bound, and rejects when nobody wants it any more', async () => {
  const bytes = Buffer.alloc(100, 'x');
  const piece = new Piece(bytes);
  const passage = new Passage(NOBODY);
  for (const from of [0, 50]) {
    passage.write(piece, from, from + 50);
    const gathered = await passage.gather(49);
    assert.deepEqual([gathered.bytes, gathered.whole], [50, false]);
  }
  passage.write(piece, 0, 50);
  passage.end();
  const { pieces, whole } = await passage.gather(50);
  bytes.fill('y');
  assert.deepEqual([Buffer.concat(pieces).toString(), whole], ['x'.repeat(50), true]);
  const dropped = new Passage(NOBODY);
  dropped.write(piece, 0, 50);
  const gathering = dropped.gather(1000);
  dropped.drop();
  await assert.rejects(gathering, { reason: 'aborted' });
});
