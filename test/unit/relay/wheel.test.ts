import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TICK_MS, Wheel } from '../../../src/relay/wheel.ts';
import { chance } from '../../support/chance.ts';

function due(wheel: Wheel, nowMs: number): number[] {
  const rows: number[] = [];
  for (let row = wheel.take(nowMs); row !== -1; row = wheel.take(nowMs)) rows.push(row);
  return rows;
}

test('a row is due at its time and not before, and only once', () => {
  const wheel = new Wheel(0);
  wheel.add(1, 1000);
  assert.deepEqual(due(wheel, 1000 - TICK_MS), []);
  assert.equal(wheel.size, 1);
  assert.deepEqual(due(wheel, 1000), [1]);
  assert.deepEqual(due(wheel, 5000), []);
  assert.equal(wheel.size, 0);
});

test('rows come out in the order of their times, and of one time as they came', () => {
  const wheel = new Wheel(0);
  for (const row of [4, 2, 9, 3]) wheel.add(row, row * 1000);
  for (const row of [30, 20]) wheel.add(row, 2000);
  assert.deepEqual(due(wheel, 9000), [2, 30, 20, 3, 4, 9]);
});

test('a row that is named twice is looked at once, at the earlier time', () => {
  for (const times of [
    [1000, 5000],
    [5000, 1000],
  ]) {
    const wheel = new Wheel(0);
    for (const dueMs of times) wheel.add(1, dueMs);
    wheel.add(2, 1000);
    assert.deepEqual(due(wheel, 1000).sort(), [1, 2]);
    assert.deepEqual(due(wheel, 9000), []);
  }
});

test('a row that is due already is not put behind the others by another look', () => {
  const wheel = new Wheel(0);
  wheel.add(1, 1000);
  wheel.add(2, 1000);
  wheel.take(0);
  assert.equal(wheel.lateMs(3000), 2000);
  wheel.add(1, 0);
  assert.equal(wheel.lateMs(3000), 2000);
  assert.deepEqual(due(wheel, 3000), [1, 2]);
});

test('a time that has passed is now', () => {
  const wheel = new Wheel(10_000);
  wheel.take(20_000);
  wheel.add(7, 0);
  assert.equal(wheel.lateMs(20_000), 0);
  assert.deepEqual(due(wheel, 20_000), [7]);
});

test('a clock that jumps a year ahead makes everything due, in order, at once', () => {
  const wheel = new Wheel(0);
  wheel.add(2, 7_200_000);
  wheel.add(1, 3_600_000);
  assert.deepEqual(due(wheel, 365 * 86_400_000), [1, 2]);
});

test('a clock that jumps back delays and loses nothing', () => {
  const wheel = new Wheel(1_000_000);
  wheel.add(1, 1_001_000);
  assert.deepEqual(due(wheel, 500_000), []);
  assert.deepEqual(due(wheel, 1_001_000), [1]);
});

test('what is held waits for no time, so it is in no wheel', () => {
  assert.throws(() => new Wheel(0).add(1, Number.POSITIVE_INFINITY), /held/);
});

test('whatever is added and taken, each row is looked at once, at its earliest time and not before', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const next = chance(seed);
    const wheel = new Wheel(1_000_000);
    const earliest = new Map<number, number>();
    let nowMs = 1_000_000;
    for (let step = 0; step < 400; step++) {
      if (next(3) > 0) {
        const row = next(step < 200 ? 50 : 3000);
        const dueMs = nowMs - 2000 + next(next(4) === 0 ? 10_000_000 : 5000);
        wheel.add(row, dueMs);
        earliest.set(row, Math.min(dueMs, earliest.get(row) ?? dueMs));
      } else {
        nowMs += next(next(20) === 0 ? 20_000_000 : 2000);
        for (const row of next(2) === 0 ? [wheel.take(nowMs)] : due(wheel, nowMs)) {
          if (row === -1) continue;
          const dueMs = earliest.get(row);
          assert.ok(dueMs !== undefined && dueMs <= nowMs, `seed ${seed}: row ${row} at ${nowMs}, due ${dueMs}`);
          earliest.delete(row);
        }
      }
      assert.equal(wheel.size, earliest.size, `seed ${seed}`);
    }
    assert.deepEqual(
      due(wheel, nowMs + 30_000_000).sort((a, b) => a - b),
      [...earliest.keys()].sort((a, b) => a - b),
    );
  }
});
