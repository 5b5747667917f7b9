import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextAttemptMs } from '../../../src/relay/retry.ts';

const RULES = { retrySeconds: [60, 300, 900], queueSecondsMax: 3600 };
const MIDDLE = 0.5; // no jitter

test('waits follow the list, and the last repeats', () => {
  const waits = [1, 2, 3, 4, 9].map((attempts) => nextAttemptMs(attempts, 0, 0, MIDDLE, RULES));
  assert.deepEqual(waits, [60_000, 300_000, 900_000, 900_000, 900_000]);
});

test('a wait varies by a tenth to both sides, never more', () => {
  assert.equal(nextAttemptMs(1, 0, 0, 0, RULES), 54_000);
  assert.equal(nextAttemptMs(1, 0, 0, 0.999999, RULES), 66_000);
});

test('the last attempt is at the end of the time, and after it there is none', () => {
  assert.equal(nextAttemptMs(3, 0, 3_500_000, MIDDLE, RULES), 3_600_000);
  assert.equal(nextAttemptMs(3, 0, 3_600_000, MIDDLE, RULES), null);
});
