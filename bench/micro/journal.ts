/**
 * Question: what does the journal cost beside the disk: a draft of 4 KiB, its record, the commit, and the mark that it
 * was delivered?
 *
 * The disk of this benchmark takes all and keeps nothing, so what is timed is ours: copies, CRC-32, MessagePack, the
 * index, promises. 64 messages at once share a batch, as under load. It would surprise us if a message cost more than
 * 15 µs (to relay it takes some 0.08 ms of CPU in all), or alone more than twice as much.
 */

import type { Disk, DiskFile } from '../../src/spool/disk.ts';
import { openSpool } from '../../src/spool/index.ts';
import { measure } from '../measure/micro.ts';
import { CONTENT_BYTES, envelopeTo, HEADER } from '../measure/samples.ts';

const AT_ONCE = 64;
const SEGMENT_BYTES = 16_777_216;

const nowhere: DiskFile = {
  write: async (_bytes, from, to) => to - from,
  read: async () => 0,
  datasync: async () => undefined,
  close: async () => undefined,
};
const nothing = async (): Promise<void> => undefined;
const disk: Disk = {
  open: async () => nowhere,
  rename: nothing,
  link: nothing,
  unlink: nothing,
  mkdir: nothing,
  rmdir: nothing,
  list: async () => [],
  stat: async () => null,
  syncFolder: nothing,
};

const spool = await openSpool(
  {
    directory: '/nowhere',
    shard: 0,
    workers: 1,
    segmentBytes: SEGMENT_BYTES,
    memoryBytesMax: 64 * CONTENT_BYTES * AT_ONCE,
    report: () => undefined,
  },
  disk,
);
const content = Buffer.concat([Buffer.from(HEADER), Buffer.alloc(CONTENT_BYTES - HEADER.length, 'x')]);
const envelope = envelopeTo(1);
const DELIVERED = [{ recipient: 0, state: { tag: 'delivered' } }] as const;

async function relayed(): Promise<void> {
  const draft = spool.begin(CONTENT_BYTES);
  draft.write(content, 0, content.length);
  const message = await draft.commit(envelope);
  const { row } = message;
  const marked = spool.mark(row, DELIVERED);
  spool.rest(message);
  await marked;
}

await measure('a message in the journal, and gone again', {
  alone: { run: relayed },
  [`${AT_ONCE} at once`]: { run: () => Promise.all(Array.from({ length: AT_ONCE }, relayed)), times: AT_ONCE },
});
if (spool.index.messages > 0) throw new Error(`${spool.index.messages} messages were left`);
await spool.close();
