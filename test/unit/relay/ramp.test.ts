import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ramp } from '../../../src/relay/ramp.ts';

test('a site that was never away has its limit at once', () => {
  assert.equal(new Ramp(20).allowed, 20);
});

test('after an outage connections double with each round of answers, up to the limit', () => {
  const ramp = new Ramp(20);
  ramp.blocked();
  const rounds: number[] = [];
  for (let round = 0; round < 6; round++) {
    rounds.push(ramp.allowed);
    for (let answers = ramp.allowed; answers > 0; answers--) ramp.took();
  }
  assert.deepEqual(rounds, [1, 2, 4, 8, 16, 20]);
});

test('a refused connection halves them, and one is always allowed', () => {
  const ramp = new Ramp(5);
  const allowed = [5, 4, 3, 2].map(() => {
    ramp.refused();
    return ramp.allowed;
  });
  assert.deepEqual(allowed, [2, 1, 1, 1]);
});
