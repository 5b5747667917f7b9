/** A mark goes with the next message's sync where one comes soon, and by itself where none does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSpool } from '../../../src/spool/index.ts';
import { SPOOL_LIMITS } from '../../../src/spool/limits.ts';
import type { Spool } from '../../../src/spool/spool.ts';
import { contentOf, delivered, Ledger, optionsFor, put } from './ledger.ts';
import { SimulatedDisk } from './simulated_disk.ts';

const { companyMs } = SPOOL_LIMITS;

/** All that can go on without time has gone on. */
async function settled(disk: SimulatedDisk): Promise<void> {
  let [ops, turns] = [disk.ops, 0];
  while (turns < 10) {
    await new Promise((resolve) => setImmediate(resolve));
    if (disk.ops === ops) turns++;
    else [ops, turns] = [disk.ops, 0];
  }
}

async function opened(disk: SimulatedDisk, wait: number = companyMs): Promise<Spool> {
  return await openSpool(optionsFor('/spool', [], { companyMs: wait }), disk);
}

/** Whether it has resolved by now. */
function watched(work: Promise<unknown>): { done: boolean } {
  const state = { done: false };
  work.then(() => {
    state.done = true;
  });
  return state;
}

test('a mark alone waits, and no longer than it should', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const disk = new SimulatedDisk();
  const spool = await opened(disk);
  const message = await put(spool, contentOf(2000, 1));
  const { syncs } = spool.stats;
  const mark = watched(spool.mark(message.row, delivered(0)));
  await settled(disk);
  assert.deepEqual([mark.done, spool.stats.syncs], [false, syncs], 'it waits');
  t.mock.timers.tick(companyMs - 1);
  await settled(disk);
  assert.equal(mark.done, false, 'it still waits');
  t.mock.timers.tick(1);
  await settled(disk);
  assert.deepEqual([mark.done, spool.stats.syncs], [true, syncs + 1], 'it has had a sync of its own');
  await spool.close();
});

test('a message takes the marks with it that wait, and does not wait itself', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const disk = new SimulatedDisk();
  const spool = await opened(disk);
  const first = await put(spool, contentOf(2000, 1));
  const { syncs } = spool.stats;
  const mark = watched(spool.mark(first.row, delivered(0)));
  await settled(disk);
  const second = await put(spool, contentOf(2000, 2));
  await settled(disk);
  assert.deepEqual([mark.done, spool.stats.syncs], [true, syncs + 1], 'both are in one sync');
  // The time that ran for the first mark is no reason to hurry or to forget the next.
  const next = watched(spool.mark(second.row, delivered(0)));
  t.mock.timers.tick(2 * companyMs);
  await settled(disk);
  assert.equal(next.done, true);
  await spool.close();
});

test('who asks for all to be durable does not wait for company', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const disk = new SimulatedDisk();
  const spool = await opened(disk);
  const message = await put(spool, contentOf(2000, 1));
  const mark = watched(spool.mark(message.row, delivered(0)));
  await settled(disk);
  await spool.close();
  assert.equal(mark.done, true);
  const again = await opened(disk);
  assert.equal(again.index.messages, 0, 'the mark was written');
  await again.close();
});

test('marks that waited when the process was killed are lost, and nothing else', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const disk = new SimulatedDisk();
  const ledger = new Ledger();
  const spool = await opened(disk);
  const message = await ledger.commit(spool, contentOf(2000, 1), 1);
  watched(ledger.mark(spool, message!, delivered(0)));
  await settled(disk);
  const again = await opened(disk.afterKill(), 0);
  assert.equal(again.index.messages, 1, 'it is delivered again');
  await ledger.check(again);
  await again.close();
});
