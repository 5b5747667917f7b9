import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeartbeatWatch } from '../../../src/gate/heartbeat.ts';
import { createMetricsMemory, Metrics } from '../../../src/telemetry/metrics.ts';
import type { ShardState } from '../../../src/telemetry/status.ts';

const LOOKS_MAX = 3;

/** Two shards that beat when the test says so; the watch looks when it is told to. */
function setUp() {
  const slots = [0, 1].map((shard) => ({ shard, state: 'ready' as ShardState }));
  const memory = createMetricsMemory(2);
  const rows = slots.map(({ shard }) => new Metrics(memory, shard));
  const hung: number[] = [];
  const onHung = (slot: { shard: number; state: ShardState }) => {
    slot.state = 'waiting';
    hung.push(slot.shard);
  };
  const watch = new HeartbeatWatch(slots, memory, onHung, { lookMs: 1000, looksMax: LOOKS_MAX });
  const beat = (...shards: number[]) => {
    for (const shard of shards) rows[shard]!.count('shard_beats');
  };
  const looks = (count: number) => {
    for (let n = 0; n < count; n++) watch.look();
  };
  beat(0, 1);
  watch.look();
  return { slots, hung, watch, beat, looks };
}

test('a shard whose beats stand still for so many looks hangs, and is named once', () => {
  const { hung, watch, beat, looks } = setUp();
  for (let n = 1; n < LOOKS_MAX; n++) {
    beat(1);
    watch.look();
  }
  assert.deepEqual(hung, [], 'it is given its time');
  beat(1);
  watch.look();
  assert.deepEqual(hung, [0], 'the other one beats');
  beat(1);
  looks(LOOKS_MAX - 1);
  assert.deepEqual(hung, [0]);
});

test('one beat gives all the patience back', () => {
  const { hung, beat, looks } = setUp();
  for (let n = 0; n < 3; n++) {
    looks(LOOKS_MAX - 1);
    beat(0, 1);
  }
  looks(LOOKS_MAX);
  assert.deepEqual(hung, []);
  looks(1);
  assert.deepEqual(hung, [0, 1]);
});

test('a shard that replays its journal, is broken or stopped is not judged, and begins anew when it is ready', () => {
  for (const state of ['starting', 'waiting', 'broken', 'stopped'] as const) {
    const { hung, slots, looks } = setUp();
    looks(LOOKS_MAX - 1);
    for (const slot of slots) slot.state = state;
    looks(10 * LOOKS_MAX);
    assert.deepEqual(hung, [], state);
    for (const slot of slots) slot.state = 'ready';
    looks(LOOKS_MAX - 1);
    assert.deepEqual(hung, [], state);
    looks(1);
    assert.deepEqual(hung, [0, 1], state);
  }
});

test('its timer looks once an interval, until it is stopped', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { hung, watch } = setUp();
  watch.start();
  context.mock.timers.tick(1000 * LOOKS_MAX - 1);
  assert.deepEqual(hung, []);
  context.mock.timers.tick(1);
  assert.deepEqual(hung, [0, 1]);
  const stopped = setUp();
  stopped.watch.start();
  stopped.watch.stop();
  context.mock.timers.tick(1000 * (LOOKS_MAX + 1));
  assert.deepEqual(stopped.hung, []);
});
