/** A checkpoint is a quicker way to the same messages, and nothing else depends on it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSpool } from '../../../src/spool/index.ts';
import type { Change, Spool } from '../../../src/spool/spool.ts';
import type { Report } from './ledger.ts';
import { contentOf, delivered, Ledger, optionsFor, put } from './ledger.ts';
import { SimulatedDisk } from './simulated_disk.ts';

const CHECKPOINT = '/spool/shard-00/checkpoint';

const deferred = (recipient: number, attempts: number): Change => ({
  recipient,
  state: { tag: 'waiting', attempts, nextMs: attempts * 1000, site: 'mx a', detail: `451 ${attempts}`, warned: false },
});

async function fill(disk: SimulatedDisk, ledger: Ledger, messages: number): Promise<void> {
  const spool = await openSpool(optionsFor('/spool'), disk);
  for (let at = 0; at < messages; at++) {
    const message = await ledger.commit(spool, contentOf(at % 9 === 0 ? 70_000 : 3000, at), 1 + (at % 3));
    if (at % 4 === 0) await ledger.mark(spool, message!, [deferred(0, at)]);
    if (at % 5 === 0) await ledger.mark(spool, message!, delivered(0, 1, 2).slice(0, 1 + (at % 3)));
    spool.rest(message!);
  }
  await spool.close();
}

test('what is found by way of the checkpoint is what the journal says', async () => {
  const disk = new SimulatedDisk();
  const ledger = new Ledger();
  await fill(disk, ledger, 100);
  const reports: Report[] = [];
  const after = disk.afterKill();
  assert.ok(await after.stat(CHECKPOINT));
  const spool = await openSpool(optionsFor('/spool', reports), after);
  await ledger.check(spool);
  await spool.close();
  const without = disk.afterKill();
  await without.unlink(CHECKPOINT);
  const slow = await openSpool(optionsFor('/spool', reports), without);
  await ledger.check(slow);
  assert.deepEqual(
    reports.filter(({ event }) => event !== 'spool-recovered'),
    [],
  );
});

/** Reads of segments and checkpoint while the spool is opened. */
async function readsOf(disk: SimulatedDisk): Promise<{ readonly reads: number; readonly messages: number }> {
  const before = disk.counts.get('read') ?? 0;
  const spool = await openSpool(optionsFor('/spool'), disk);
  return { reads: (disk.counts.get('read') ?? 0) - before, messages: spool.index.messages };
}

test('with a checkpoint a start reads the head of each segment, and little more', async () => {
  const disk = new SimulatedDisk();
  await fill(disk, new Ledger(), 200);
  const segments = (await disk.list('/spool/shard-00')).filter((name) => name.endsWith('.seg')).length;
  const quick = await readsOf(disk.afterKill());
  const without = disk.afterKill();
  await without.unlink(CHECKPOINT);
  const slow = await readsOf(without);
  assert.equal(quick.messages, slow.messages);
  // `claim` looks at each head once more; a piece of the checkpoint takes two reads.
  assert.ok(quick.reads <= 2 * segments + 8, `${quick.reads} reads of ${segments} segments`);
  assert.ok(slow.reads > quick.reads, `${slow.reads} reads without`);
});

test('what came after the checkpoint counts', async () => {
  const disk = new SimulatedDisk();
  const ledger = new Ledger();
  await fill(disk, ledger, 30);
  // As large as the checkpoint of a clean end lets it: none is written in here.
  const spool = await openSpool({ ...optionsFor('/spool'), checkpointEveryBytes: 1 << 30 }, disk);
  const rows = [...spool.index.rows()];
  for (const row of rows.slice(0, 10)) {
    const message = await spool.wake(row);
    await ledger.mark(
      spool,
      message,
      message.envelope.recipients.map((_, at) => delivered(at)[0]!),
    );
    spool.rest(message);
  }
  for (let at = 0; at < 20; at++) await ledger.commit(spool, contentOf(2000, at), 2);
  const again = await openSpool(optionsFor('/spool'), disk.afterKill());
  assert.equal(again.index.messages, rows.length + 10);
  await ledger.check(again);
});

test('a checkpoint that is cut short or garbled is not used, and said so', async () => {
  const disk = new SimulatedDisk();
  const ledger = new Ledger();
  await fill(disk, ledger, 40);
  const { bytes } = (await disk.stat(CHECKPOINT))!;
  for (let at = 0; at < bytes; at += 97) {
    const each = disk.afterKill();
    const file = await each.open(CHECKPOINT, 'durable');
    const one = Buffer.alloc(1);
    await file.read(one, 0, 1, at);
    one[0]! ^= 0x40;
    await file.write(one, 0, 1, at);
    await file.close();
    const reports: Report[] = [];
    const spool = await openSpool(optionsFor('/spool', reports), each);
    await ledger.check(spool);
    await spool.close();
    const said = reports.some(({ event }) => event === 'spool-checkpoint');
    assert.ok(said, `byte ${at}`);
  }
});

async function goneSegment(disk: SimulatedDisk): Promise<Report[]> {
  const segments = (await disk.list('/spool/shard-00')).filter((name) => name.endsWith('.seg')).sort();
  const after = disk.afterKill();
  await after.unlink(`/spool/shard-00/${segments[1]}`);
  const reports: Report[] = [];
  await (await openSpool(optionsFor('/spool', reports), after)).close();
  return reports;
}

test('messages whose segment somebody removed are counted as lost', async () => {
  const disk = new SimulatedDisk();
  await fill(disk, new Ledger(), 150);
  const reports = await goneSegment(disk);
  const lost = reports.filter(({ event }) => event === 'spool-lost');
  assert.equal(lost.length, 1);
  assert.ok(Number(lost[0]!.fields.messages) > 0);
});

test('a full disk goes without a checkpoint', async () => {
  const disk = new SimulatedDisk();
  const reports: Report[] = [];
  const spool: Spool = await openSpool(optionsFor('/spool', reports), disk);
  await put(spool, contentOf(2000, 1));
  disk.plan = (_op, path) => (path.includes('checkpoint') ? { code: 'ENOSPC' } : null);
  await spool.close();
  assert.deepEqual(
    reports.map(({ event }) => event),
    ['spool-checkpoint'],
  );
  disk.plan = () => null;
  assert.equal((await openSpool(optionsFor('/spool'), disk.afterKill())).index.messages, 1);
});

/** Of a piece there are some thirty. */
const MANY_RECIPIENTS = 1000;

/** Each write to a checkpoint waits until `meanwhile` is over. */
function slowCheckpoint(disk: SimulatedDisk, meanwhile: () => Promise<void>): void {
  const open = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    const file = await open(path, mode);
    if (!path.endsWith('/checkpoint.new')) return file;
    return {
      ...file,
      write: async (...given) => {
        await meanwhile();
        return await file.write(...given);
      },
    };
  };
}

/** Resolves when one has its name, and the folder is synced. */
async function nextCheckpoint(disk: SimulatedDisk): Promise<void> {
  const [rename, syncFolder] = [disk.rename.bind(disk), disk.syncFolder.bind(disk)];
  let named = false;
  await new Promise<void>((resolve) => {
    disk.rename = async (from, to) => {
      await rename(from, to);
      named ||= to === CHECKPOINT;
    };
    disk.syncFolder = async (path) => {
      const durable = named;
      await syncFolder(path);
      if (durable) resolve();
    };
  });
}

test('what happens while a checkpoint is written is there, whether its piece was written before or after', async () => {
  const disk = new SimulatedDisk();
  const ledger = new Ledger();
  const options = { segmentBytes: 1 << 20, checkpointEveryBytes: 1 << 30 };
  const first = await openSpool(optionsFor('/spool', [], options), disk);
  for (let at = 0; at < 100; at++) {
    const message = await ledger.commit(first, contentOf(100, at), MANY_RECIPIENTS);
    // Texts of their own: when they go, others have their numbers.
    await ledger.mark(first, message!, [deferred(at, at), deferred(at + 1, at + 1000)]);
    first.rest(message!);
  }
  await first.close();

  const spool = await openSpool(optionsFor('/spool', [], { ...options, checkpointEveryBytes: 1 }), disk);
  const rows = [...spool.index.rows()];
  let pieces = 0;
  slowCheckpoint(disk, async () => {
    pieces++;
    for (const part of [0, 1, 2, 3]) {
      const row = rows[Math.floor((rows.length * part) / 4) + pieces]!;
      const message = await spool.wake(row);
      const all = message.envelope.recipients.map((_, at) => at);
      const last = part % 2 === 0 ? delivered(...all) : all.map((at) => deferred(at, 5000 + at));
      await ledger.mark(spool, message, [deferred(3, 4000 + pieces)]);
      await ledger.mark(spool, message, last);
      spool.rest(message);
      spool.rest((await ledger.commit(spool, contentOf(100, pieces), 2))!);
    }
  });
  const written = nextCheckpoint(disk);
  spool.rest((await ledger.commit(spool, contentOf(100, 1), 1))!);
  await written;
  assert.ok(pieces > 6, `${pieces} writes`);
  for (const left of [disk.afterKill(), disk.afterPowerCut(() => false)]) {
    const reports: Report[] = [];
    const again = await openSpool(optionsFor('/spool', reports, options), left);
    assert.deepEqual(
      reports.map(({ event }) => event),
      ['spool-recovered'],
    );
    await ledger.fork().check(again);
    await again.close();
  }
});
