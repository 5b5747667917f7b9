/**
 * How much disk the journal takes, and how much it writes, over thousands of messages of which some stay long: the
 * files of segments are at most twice the live bytes plus two segments whenever nothing is under way, and what is
 * copied forward is little more than what was written for callers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openSpool } from '../../../src/spool/index.ts';
import type { Row, Spool } from '../../../src/spool/spool.ts';
import type { JournalSpool } from '../../../src/spool/store.ts';
import { contentOf, delivered, optionsFor, put } from './ledger.ts';
import { SimulatedDisk } from './simulated_disk.ts';
import { SEGMENT_BYTES } from './workload.ts';

/** Once when it comes, and once more when it is copied forward; in whole blocks each time. */
const AMPLIFICATION_MAX = 2.5;

const story = fc.record({
  seed: fc.nat(),
  messages: fc.integer({ min: 100, max: 400 }),
  bytesMax: fc.constantFrom(500, 8000, 60_000),
  /** Of messages, in so many of a hundred; all others are final at once, or after a while. */
  stragglers: fc.constantFrom(0, 2, 10, 50, 100),
  /** At once: what comes between two looks at the disk. */
  together: fc.integer({ min: 1, max: 20 }),
});

function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * below);
  };
}

/** Until the disk has not been asked for a while. */
async function settle(disk: SimulatedDisk): Promise<void> {
  for (let ops = disk.ops, turns = 0; turns < 8; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (disk.ops !== ops) [ops, turns] = [disk.ops, 0];
  }
}

const segmentBytes = (disk: SimulatedDisk): number =>
  disk
    .paths()
    .filter((path) => /\.(seg|new)$/.test(path))
    .reduce((bytes, path) => bytes + disk.contents(path).length, 0);

/** Frames of live messages. */
const liveBytes = (spool: Spool): number => {
  let bytes = 0;
  const { index } = spool as JournalSpool;
  for (const row of index.rows()) bytes += index.place(row).frameBytes;
  return bytes;
};
/** Bytes of frames that are copied forward from now on. */
function countCopies(spool: Spool): () => number {
  const journal = spool as JournalSpool;
  const copied = journal.copied.bind(journal);
  let bytes = 0;
  journal.copied = (row, place) => {
    bytes += place.frameBytes;
    copied(row, place);
  };
  return () => bytes;
}

type Figures = { worst: number; amplification: number };

async function run(given: typeof story extends fc.Arbitrary<infer T> ? T : never): Promise<Figures> {
  const { seed, messages, bytesMax, stragglers, together } = given;
  const random = numbers(seed);
  const disk = new SimulatedDisk();
  const spool = await openSpool(optionsFor('/spool', [], { segmentBytes: SEGMENT_BYTES }), disk);
  const staying: Row[] = [];
  const copied = countCopies(spool);
  let worst = 0;
  for (let at = 0; at < messages; ) {
    const batch = Array.from({ length: together }, async () => {
      const content = contentOf(random(bytesMax), at++);
      const straggler = random(100) < stragglers;
      const message = await put(spool, content, 1);
      spool.rest(message);
      if (straggler) staying.push(message.row);
      else await spool.mark(message.row, delivered(0));
    });
    await Promise.all(batch);
    // A straggler goes now and then, an old one as well as a young one.
    if (staying.length > 0 && random(4) === 0) {
      const [row] = staying.splice(random(staying.length), 1);
      await spool.mark(row!, delivered(0));
    }
    await settle(disk);
    const over = segmentBytes(disk) - 2 * liveBytes(spool);
    worst = Math.max(worst, over / SEGMENT_BYTES);
    assert.ok(over <= 2 * SEGMENT_BYTES, `${segmentBytes(disk)} bytes for ${liveBytes(spool)} live ones`);
  }
  const amplification = disk.bytesAppended / (disk.bytesAppended - copied());
  await spool.close();
  return { worst, amplification };
}

test('segments take at most twice the live bytes and two segments more, and little is written twice', {
  timeout: 120_000,
}, async () => {
  const all: Figures = { worst: 0, amplification: 0 };
  await fc.assert(
    fc.asyncProperty(story, async (given) => {
      const { worst, amplification } = await run(given);
      all.worst = Math.max(all.worst, worst);
      all.amplification = Math.max(all.amplification, amplification);
    }),
    { numRuns: 100, endOnFailure: true },
  );
  console.log(`at most ${all.worst.toFixed(2)} segments above twice the live bytes`);
  console.log(`${all.amplification.toFixed(2)} bytes written for one of callers`);
  assert.ok(all.amplification <= AMPLIFICATION_MAX);
});

test('records that leave half of each segment empty are not copied for ever', async () => {
  const disk = new SimulatedDisk();
  const spool = await openSpool(optionsFor('/spool', [], { segmentBytes: SEGMENT_BYTES }), disk);
  const copied = countCopies(spool);
  for (let at = 0; at < 90; at++) {
    const message = await put(spool, contentOf(63_600, at), 1);
    spool.rest(message);
    await settle(disk);
  }
  assert.ok(segmentBytes(disk) > 2 * (liveBytes(spool) + SEGMENT_BYTES), 'the bound cannot be kept');
  assert.ok(copied() <= 2.5 * liveBytes(spool));
  await spool.close();
});
