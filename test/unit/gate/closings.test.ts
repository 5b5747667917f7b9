import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ClosingsReader, ClosingsWriter, closingsMemory } from '../../../src/gate/closings.ts';
import { ShardSlot } from '../../../src/gate/shard_slot.ts';

function allOf(reader: ClosingsReader): number[] {
  const places: number[] = [];
  for (let place = reader.next(); place !== null; place = reader.next()) places.push(place);
  return places;
}

test('places come once and in order, as often as the ring goes round, and all sessions may wait in it', () => {
  const memory = closingsMemory(3);
  const [writer, reader] = [new ClosingsWriter(memory), new ClosingsReader(memory)];
  assert.deepEqual(allOf(reader), []);
  for (let round = 0; round < 9; round++) {
    const places = [round, 0, 7].slice(0, 1 + (round % 3));
    for (const place of places) writer.add(place);
    assert.deepEqual(allOf(reader), places);
  }
});

test('what another thread has closed is there, none lost and none twice', { timeout: 20_000 }, async () => {
  const memory = closingsMemory(1000);
  const reader = new ClosingsReader(memory);
  const source = `
    const { workerData } = require('node:worker_threads');
    import(workerData.url).then(({ ClosingsWriter }) => {
      const writer = new ClosingsWriter(workerData.memory);
      for (let place = 0; place < 1000; place++) writer.add(place);
    });`;
  const url = new URL('../../../src/gate/closings.ts', import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: { memory, url } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const places: number[] = [];
  while (places.length < 1000) {
    places.push(...allOf(reader));
    await new Promise(setImmediate);
  }
  await ended;
  assert.deepEqual([...places, ...allOf(reader)], [...Array(1000).keys()]);
});

test('a slot gives the places of ended sessions anew, so that there are never more than sessions at once', () => {
  const slot = new ShardSlot(0);
  const places = ['a', 'b', 'a'].map((client) => slot.sessionBegun(client));
  assert.deepEqual(places, [0, 1, 2]);
  assert.equal(slot.sessionEnded(1), 'b');
  assert.throws(() => slot.sessionEnded(1), /closes sessions that it was given/);
  assert.equal(slot.sessionBegun('c'), 1);
  assert.equal(slot.sessionEnded(0), 'a');
  assert.equal(slot.sessions, 2);
  assert.deepEqual(slot.releaseSessions(), ['c', 'a']);
  assert.deepEqual([slot.sessions, slot.sessionBegun('d')], [0, 0]);
});

test('what a shard closes after its sessions were released is not heard any more', () => {
  const slot = new ShardSlot(0);
  const memory = closingsMemory(2);
  const writer = new ClosingsWriter(memory);
  slot.closings = new ClosingsReader(memory);
  const [first, second] = [slot.sessionBegun('a'), slot.sessionBegun('b')];
  writer.add(second);
  assert.deepEqual([slot.nextClosed(), slot.nextClosed()], ['b', null]);
  assert.deepEqual(slot.releaseSessions(), ['a']);
  writer.add(first);
  assert.equal(slot.nextClosed(), null);
});
