/** What a shard that is no more leaves behind beside its mail: it is kept, whoever takes the mail over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from './ledger.ts';
import { contentOf, put } from './ledger.ts';
import { SimulatedDisk } from './simulated_disk.ts';
import { ALONE, openIn, SEGMENT_BYTES, World } from './workload.ts';

const ORPHAN = '/spool/shard-01';
const SECOND_OF_TWO = { shard: 1, workers: 2 };
const LAST_OF_FOUR = { shard: 3, workers: 4 };

async function leaveMessage(disk: SimulatedDisk, which = SECOND_OF_TWO, ...bytes: readonly number[]): Promise<void> {
  const spool = await openIn(new World(disk), which);
  for (const each of [3000, ...bytes]) spool.rest(await put(spool, contentOf(each, 1)));
  await spool.close();
}

async function takeOver(disk: SimulatedDisk): Promise<{ readonly messages: number; readonly reports: Report[] }> {
  const world = new World(disk);
  const spool = await openIn(world, ALONE);
  const { messages } = spool.index;
  await spool.close();
  return { messages, reports: world.reports };
}

async function lay(disk: SimulatedDisk, path: string): Promise<void> {
  await (await disk.open(path, 'create')).close();
}

test('a segment that was moved aside, and what nobody knows, outlive the shard they were in', async () => {
  for (const name of ['00000009.damaged', 'notes.txt', 'content/odd']) {
    const disk = new SimulatedDisk();
    await leaveMessage(disk);
    await lay(disk, `${ORPHAN}/${name}`);
    const { messages } = await takeOver(disk);
    assert.equal(messages, 1);
    assert.ok(disk.paths().includes(`/spool/shard-00/damaged-01/${name}`), `${disk.paths()}`);
    assert.equal((await takeOver(disk)).messages, 1, 'and its mail is not taken over again');
  }
});

test('a shard of the same number, with damage in it once more: both are kept', async () => {
  const disk = new SimulatedDisk();
  for (const name of ['00000008.damaged', '00000009.damaged']) {
    await leaveMessage(disk);
    await lay(disk, `${ORPHAN}/${name}`);
    await takeOver(disk);
  }
  const kept = disk.paths().filter((path) => /^\/spool\/shard-00\/damaged-[^/]*\/\d+\.damaged$/.test(path));
  assert.equal(kept.length, 2);
  assert.equal((await takeOver(disk)).messages, 2);
});

/** The shard that is no more was taking over another one when it ended. */
async function leaveNested(disk: SimulatedDisk, ...bytes: readonly number[]): Promise<string> {
  await leaveMessage(disk);
  await leaveMessage(disk, LAST_OF_FOUR, ...bytes);
  await disk.rename('/spool/shard-03', `${ORPHAN}/adopting-03`);
  return `${ORPHAN}/adopting-03`;
}

test('what is kept of a folder inside an adopted one is kept with that', async () => {
  const disk = new SimulatedDisk();
  await lay(disk, `${await leaveNested(disk)}/notes.txt`);
  const { messages, reports } = await takeOver(disk);
  assert.equal(messages, 2);
  assert.ok(disk.paths().includes('/spool/shard-00/damaged-01/damaged-03/notes.txt'), `${disk.paths()}`);
  const strays = reports.filter(({ event }) => event === 'spool-stray').map(({ fields }) => fields.path);
  assert.ok(strays.includes('/spool/shard-00/damaged-01'), 'and somebody is told where it is');
});

test('a disk that fills up with the mail of a folder inside an adopted one: the rest waits there', async () => {
  const disk = new SimulatedDisk();
  await leaveNested(disk, 60_000, 60_000);
  disk.capacityBytes = disk.usedBytes + SEGMENT_BYTES;
  const { messages, reports } = await takeOver(disk);
  assert.ok(messages > 1 && messages < 4, `${messages} of 4 have room`);
  assert.ok(reports.some(({ event }) => event === 'spool-full'));
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  assert.equal((await takeOver(disk)).messages, 4);
});

test('a large content that is lost, and its record, stay in what is kept', async () => {
  const disk = new SimulatedDisk();
  await leaveMessage(disk, SECOND_OF_TWO, 100_000);
  const file = disk.paths().find((path) => path.startsWith(`${ORPHAN}/content/`))!;
  disk.truncate(file, 70_000);
  assert.equal((await takeOver(disk)).messages, 1);
  assert.equal(disk.contents(file.replace(ORPHAN, '/spool/shard-00/damaged-01')).length, 70_000);
});
