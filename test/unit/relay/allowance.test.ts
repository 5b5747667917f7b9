/** Connections to a site, shared by shards: nobody keeps them while another one's mail waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import { Allowance } from '../../../src/relay/allowance.ts';
import { clearSiteCounts, SiteCounts, siteCountsMemory } from '../../../src/relay/site_counts.ts';

const SITE = 'inside smtp://10.0.0.5:25';

/** A shard's side, with the connections that it has. */
class Side {
  size = 0;
  readonly allowance: Allowance;

  constructor(memory: SharedArrayBuffer, shard: number, max: number) {
    this.allowance = new Allowance(new SiteCounts(memory, shard), SITE, max);
  }

  open(): boolean {
    const opened = this.allowance.acquire(this.size);
    if (opened) this.size++;
    return opened;
  }

  close(): void {
    this.size--;
    this.allowance.released(this.size);
  }

  get surplus(): number {
    return this.allowance.surplus(this.size);
  }
}

function sides(shards: number, max: number): { readonly memory: SharedArrayBuffer; readonly sides: Side[] } {
  const memory = siteCountsMemory(shards);
  return { memory, sides: Array.from({ length: shards }, (_, shard) => new Side(memory, shard, max)) };
}

const fill = (side: Side): void => {
  while (side.open());
};

test('who has all of them sees how many more than the one that waits, and nobody else does', () => {
  const [rich, poor, calm] = sides(3, 10).sides as [Side, Side, Side];
  fill(rich);
  assert.equal(rich.size, 10);
  assert.ok(rich.surplus <= 0, 'nobody else waits yet');
  assert.equal(poor.open(), false);
  assert.equal(rich.surplus, 10);
  assert.ok(poor.surplus <= 0 && calm.surplus <= 0);
  poor.allowance.enough();
  assert.ok(rich.surplus <= 0, 'it waits no more');
});

test('they meet in the middle, and what was left is not taken back', () => {
  const [rich, poor] = sides(2, 10).sides as [Side, Side];
  fill(rich);
  poor.open();
  let rounds = 0;
  for (; rich.surplus > 1; rounds++) {
    rich.close();
    assert.ok(rich.surplus <= 0, 'one is free, and enough until it is taken');
    assert.equal(rich.open(), false, 'it is for the other');
    assert.equal(poor.open(), true);
    assert.equal(poor.open(), false, 'it waits for more');
  }
  assert.deepEqual([rounds, rich.size, poor.size], [5, 5, 5]);
});

test('of several that wait, nobody takes two while another has fewer', () => {
  const all = sides(3, 6).sides;
  fill(all[0]!);
  for (const side of all) assert.equal(side.open(), false);
  for (let n = 0; n < 6; n++) all[0]!.close();
  for (let round = 0; round < 6; round++) for (const side of all) side.open();
  assert.deepEqual(
    all.map(({ size }) => size),
    [2, 2, 2],
  );
});

test('who has as many lets the other one first, and for a while only', (t) => {
  const [rich, poor] = sides(2, 1).sides as [Side, Side];
  rich.open();
  poor.open();
  assert.equal(rich.surplus, 1);
  let nowMs = performance.now();
  t.mock.method(performance, 'now', () => nowMs);
  rich.close();
  assert.equal(rich.open(), false);
  nowMs += LIMITS.giveWayMs + 1;
  assert.equal(rich.open(), true);
});

test('who has not asked again for a second waits no more', (t) => {
  const [rich, poor] = sides(2, 3).sides as [Side, Side];
  fill(rich);
  poor.open();
  assert.equal(rich.surplus, 3);
  const nowMs = Date.now();
  t.mock.method(Date, 'now', () => nowMs + 2000);
  assert.ok(rich.surplus <= 0);
  poor.open();
  assert.equal(rich.surplus, 3);
});

test('a dead shard waits for nothing', () => {
  const { memory, sides: two } = sides(2, 3);
  const [rich, poor] = two as [Side, Side];
  fill(rich);
  poor.open();
  assert.equal(rich.surplus, 3);
  clearSiteCounts(memory, 1);
  assert.ok(rich.surplus <= 0);
});

test('that it waits is no connection', () => {
  const [rich, poor] = sides(2, 2).sides as [Side, Side];
  fill(rich);
  for (let n = 0; n < 5; n++) assert.equal(poor.open(), false);
  rich.close();
  rich.close();
  fill(poor);
  assert.equal(poor.size, 2);
});
