import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clearSiteCounts, SiteCounts, siteCountsMemory } from '../../../src/relay/site_counts.ts';

test('the limit holds over all shards together', () => {
  const memory = siteCountsMemory(2);
  const [one, two] = [new SiteCounts(memory, 0), new SiteCounts(memory, 1)];
  const slot = one.slotOf('inside smtp://10.0.0.5:25');
  assert.equal(one.acquire(slot, 2), true);
  assert.equal(two.acquire(slot, 2), true);
  assert.equal(one.acquire(slot, 2), false);
  two.release(slot);
  assert.equal(one.acquire(slot, 2), true);
});

test('a refused connection is not counted', () => {
  const counts = new SiteCounts(siteCountsMemory(1), 0);
  for (let n = 0; n < 5; n++) counts.acquire(3, 1);
  counts.release(3);
  assert.equal(counts.acquire(3, 1), true);
});

test('a dead shard gives back what it held, and no more', () => {
  const memory = siteCountsMemory(2);
  const [one, two] = [new SiteCounts(memory, 0), new SiteCounts(memory, 1)];
  one.acquire(5, 10);
  two.acquire(5, 10);
  clearSiteCounts(memory, 0);
  assert.equal(two.acquire(5, 2), true);
  assert.equal(two.acquire(5, 2), false);
});

test('releasing what was never acquired is our bug', () => {
  const counts = new SiteCounts(siteCountsMemory(1), 0);
  assert.throws(() => counts.release(0), /released once/);
});

test('a greeting is seen by every shard, and only for its own site', () => {
  const memory = siteCountsMemory(2);
  const [one, other] = [new SiteCounts(memory, 0), new SiteCounts(memory, 1)];
  const before = other.greetings('mx a');
  one.greeted('mx a');
  const after = other.greetings('mx a');
  assert.notEqual(after, before);
  assert.notEqual(after, -1);
  one.greeted('mx a');
  assert.notEqual(other.greetings('mx a'), after);
  const sharing = Array.from({ length: 100_000 }, (_, n) => `mx ${n}`).find(
    (key) => one.slotOf(key) === one.slotOf('mx a'),
  );
  assert.ok(sharing !== undefined);
  assert.equal(one.greetings(sharing), -1);
});
