import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scheduler, TICK_MS } from '../../../src/relay/scheduler.ts';

test('a row is due at its time and not before, and only once', () => {
  const scheduler = new Scheduler(0);
  scheduler.add(1, 1000);
  assert.deepEqual(scheduler.due(1000 - TICK_MS), []);
  assert.equal(scheduler.size, 1);
  assert.deepEqual(scheduler.due(1000), [1]);
  assert.deepEqual(scheduler.due(5000), []);
  assert.equal(scheduler.size, 0);
});

test('rows come out in the order of their times', () => {
  const scheduler = new Scheduler(0);
  for (const at of [4, 2, 9, 3]) scheduler.add(at, at * 1000);
  assert.deepEqual(scheduler.due(9000), [2, 3, 4, 9]);
});

test('a time that has passed is the next tick', () => {
  const scheduler = new Scheduler(10_000);
  scheduler.due(20_000);
  scheduler.add(7, 5000);
  assert.deepEqual(scheduler.due(20_000 + TICK_MS), [7]);
});

test('a clock that jumps a year ahead makes everything due, in order, at once', () => {
  const scheduler = new Scheduler(0);
  scheduler.add(2, 7_200_000);
  scheduler.add(1, 3_600_000);
  assert.deepEqual(scheduler.due(365 * 86_400_000), [1, 2]);
});

test('a clock that jumps back delays and loses nothing', () => {
  const scheduler = new Scheduler(1_000_000);
  scheduler.add(1, 1_001_000);
  assert.deepEqual(scheduler.due(500_000), []);
  assert.deepEqual(scheduler.due(1_001_000), [1]);
});
