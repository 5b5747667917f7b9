import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unknownRecipientWaitMs } from '../../../src/policy/harvest.ts';

test('a mistake or two cost nothing, a harvest takes its time, and no wait is endless', () => {
  const terms = { free: 2, stepMs: 500, waitMsMax: 10_000 };
  const waits = [0, 1, 2, 3, 4, 5, 8, 2000].map((unknown) => unknownRecipientWaitMs(unknown, terms));
  assert.deepEqual(waits, [0, 0, 0, 500, 1000, 2000, 10_000, 10_000]);
});
