/** The memory of large content on its way to the disk and back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BufferPool } from '../../../src/base/buffer_pool.ts';
import { ContentWriter } from '../../../src/spool/content_writer.ts';
import type { Disk, DiskFile } from '../../../src/spool/disk.ts';
import { openSpool } from '../../../src/spool/index.ts';
import { SPOOL_LIMITS } from '../../../src/spool/limits.ts';
import { readFile } from '../../../src/spool/reading.ts';
import { envelopeOf, optionsFor, readWhole, writeAll } from './ledger.ts';
import { SimulatedDisk } from './simulated_disk.ts';

const PIECE = SPOOL_LIMITS.chunkBytes;

/** A disk with one file, which is written when `go` says so. */
function slowDisk() {
  const { promise, resolve: go } = Promise.withResolvers<void>();
  let content = Buffer.alloc(0);
  const file: DiskFile = {
    async write(bytes, from, to) {
      await promise;
      content = Buffer.concat([content, bytes.subarray(from, to)]);
      return to - from;
    },
    read: async (bytes, from, to, at) => content.copy(bytes, from, at, Math.min(content.length, at + to - from)),
    datasync: async () => {},
    close: async () => {},
  };
  const disk = { open: async () => file, syncFolder: async () => {}, unlink: async () => {} } as unknown as Disk;
  return { disk, go, content: () => content };
}

const bytesOf = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, at) => (at * 7 + (at >> 9)) & 0xff));

describe('content on its way to the disk', () => {
  test('has four pieces in flight while there are enough for all, and one where there are not', async () => {
    const { disk, go } = slowDisk();
    const piece = Buffer.alloc(PIECE);
    const most = SPOOL_LIMITS.draftInFlightBytesMax / PIECE;
    for (const [kept, free] of [
      [100, most],
      [1, 1],
    ] as const) {
      const writer = new ContentWriter(disk, 'folder', 'name', new BufferPool(PIECE, kept));
      for (let at = 0; at < free; at++) assert.equal(writer.write(piece, 0, PIECE), undefined, `${kept}: ${at}`);
      const behind = writer.write(piece, 0, PIECE);
      assert.ok(behind instanceof Promise, `${kept}`);
      go();
      await behind;
      await writer.finish();
    }
  });

  test('gives each piece back, whether it was written or not', async () => {
    for (const end of ['finish', 'abandon'] as const) {
      const { disk, go, content } = slowDisk();
      const pool = new BufferPool(PIECE, 2);
      const writer = new ContentWriter(disk, 'folder', 'name', pool);
      const sent = bytesOf(4 * PIECE + 10);
      writer.write(sent, 0, sent.length);
      assert.equal(pool.scarce, true);
      const ended = writer[end]();
      go();
      await ended;
      assert.equal(pool.scarce, false);
      const taken = [pool.take(), pool.take()];
      assert.equal(pool.scarce, false, 'nothing is out but these');
      for (const each of taken) pool.give(each);
      if (end === 'finish') assert.ok(content().equals(sent));
    }
  });
});

describe('content on its way back', () => {
  test('comes in one buffer, which is given back however the reader ends', async () => {
    const { disk, go } = slowDisk();
    go();
    const writer = new ContentWriter(disk, 'folder', 'name', new BufferPool(PIECE, 4));
    const sent = bytesOf(3 * PIECE + 10);
    writer.write(sent, 0, sent.length);
    const written = await writer.finish();
    const pool = new BufferPool(PIECE, 1);
    const read: Buffer[] = [];
    const memory = new Set<ArrayBufferLike>();
    for await (const chunk of readFile(disk, 'folder', written, pool)) {
      memory.add(chunk.buffer);
      read.push(Buffer.from(chunk));
    }
    assert.ok(Buffer.concat(read).equals(sent));
    assert.equal(memory.size, 1);
    for await (const chunk of readFile(disk, 'folder', written, pool)) {
      assert.equal(chunk.length, PIECE);
      break;
    }
    assert.ok(memory.has(pool.take().buffer), 'the same goes round');
    assert.equal(pool.scarce, false);
  });

  test('a buffer of another size is not taken back', () => {
    assert.throws(() => new BufferPool(PIECE, 1).give(Buffer.alloc(1)), /goes back to where it was taken/);
  });
});

test('a message announced as large has a file, and is read back, however small it turns out to be', async () => {
  const disk = new SimulatedDisk();
  const spool = await openSpool(optionsFor('/spool'), disk);
  for (const bytes of [0, 10, PIECE, 2 * PIECE + 1]) {
    const draft = spool.begin(2 * PIECE);
    const content = bytesOf(bytes);
    await writeAll(draft, content);
    const stored = await draft.commit(envelopeOf(bytes, 1));
    assert.equal(stored.content === null, bytes > 0);
    assert.ok((await readWhole(spool, stored)).equals(content), `${bytes}`);
  }
  await spool.close();
  const again = await openSpool(optionsFor('/spool'), disk.afterKill());
  assert.equal(again.index.messages, 4);
  await again.close();
});
