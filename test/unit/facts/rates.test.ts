import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsSection } from '../../../src/config/policy/rates.ts';
import { PackedTable, packedTableMemory } from '../../../src/facts/packed_table.ts';
import { RateTable, rateSources, ratesMemory } from '../../../src/facts/rates.ts';
import type { Answer } from '../../../src/facts/source.ts';
import { subject } from './subject.ts';

const SIGNAL = new AbortController().signal;
const START_MS = 4_000_000_000_000; // later than any table begins

function clocked() {
  const memory = ratesMemory();
  const clock = { ms: START_MS };
  return { memory, clock, table: new RateTable(memory, () => clock.ms) };
}

test('a burst passes, then what grows back', () => {
  const { table, clock } = clocked();
  const limit = { rate: { amount: 60, seconds: 3600 }, burst: 3 };
  const take = () => table.take('k', 1, limit);
  assert.deepEqual([take(), take(), take(), take()], [true, true, true, false]);
  clock.ms += 59_000;
  assert.equal(take(), false);
  clock.ms += 1_001;
  assert.deepEqual([take(), take()], [true, false], 'one a minute, and refusals cost nothing');
  clock.ms += 3_600_000;
  assert.deepEqual([take(), take(), take(), take()], [true, true, true, false], 'never more than a burst');
});

test('keys do not share, shards do', () => {
  const { table, memory, clock } = clocked();
  const other = new RateTable(memory, () => clock.ms);
  const limit = { rate: { amount: 2, seconds: 60 } };
  assert.ok(table.take('a', 1, limit) && other.take('a', 1, limit));
  assert.ok(!table.take('a', 1, limit) && !other.take('a', 1, limit));
  assert.ok(table.take('b', 1, limit));
});

test('a clock that is set, and time that goes round, forgive: nobody is locked out, and counting goes on', () => {
  const { table, clock } = clocked();
  const limit = { rate: { amount: 10, seconds: 10 } };
  for (const years of [-1, 4, -60, 90]) {
    clock.ms += years * 365 * 86_400_000;
    for (let at = 0; at < 10; at++) assert.ok(table.take('k', 1, limit), `${years}`);
    assert.ok(!table.take('k', 1, limit), `${years}`);
  }
});

test('more than a whole burst passes a full bucket, and is owed', () => {
  const { table, clock } = clocked();
  const limit = { rate: { amount: 1000, seconds: 1 } };
  assert.ok(table.take('k', 5000, limit));
  assert.ok(!table.take('k', 1, limit));
  clock.ms += 1_100;
  assert.ok(table.take('k', 1, limit), 'a burst is all that is owed at most');
});

test('a full table forgets who owes least, and stays as large as it is', () => {
  const memory = packedTableMemory(8, new Uint8Array(8));
  const table = new PackedTable(memory, (state) => state);
  assert.equal(table.buckets, 1);
  for (let at = 1; at <= 100; at++) table.update(`key ${at}`, () => at);
  const kept: number[] = [];
  for (let at = 1; at <= 100; at++) {
    table.update(`key ${at}`, (state) => {
      if (state !== null) kept.push(state);
      return null;
    });
  }
  assert.deepEqual(kept, [93, 94, 95, 96, 97, 98, 99, 100]);
});

test('limits by what they count, and by whom', () => {
  const { table } = clocked();
  const limits = limitsSection.parse([
    { name: 'client', rate: '1/h', by: ['client'] },
    { name: 'pair', rate: '1/h', count: 'recipients', by: ['network', 'recipient'] },
    { name: 'volume', rate: '10K/h', count: 'bytes', by: ['sender-domain'], side: 'both' },
    { name: 'user', rate: '1/h', by: ['identity'], side: 'inside' },
  ]);
  const [mail, rcpt, data] = rateSources(table, limits);
  assert.deepEqual([mail?.stage, rcpt?.stage, data?.stage], ['mail', 'rcpt', 'data']);
  const exceeded = (source: typeof mail, about: object) =>
    (source!.ask(subject(about), SIGNAL) as Answer).facts['rate.exceeded'] ?? [];
  assert.deepEqual(exceeded(mail, {}), []);
  assert.deepEqual(exceeded(mail, {}), ['client']);
  assert.deepEqual(exceeded(mail, { side: 'inside' }), [], 'without an identity there is nothing to count by');
  assert.deepEqual(exceeded(mail, { side: 'inside', identity: 'u' }), []);
  assert.deepEqual(exceeded(mail, { side: 'inside', identity: 'u' }), ['user']);
  const recipient = { local: 'Jane', domain: 'example.org' };
  assert.deepEqual(exceeded(rcpt, { recipient }), []);
  assert.deepEqual(exceeded(rcpt, { recipient: { ...recipient, local: 'john' } }), []);
  assert.deepEqual(exceeded(rcpt, { recipient: { ...recipient, local: 'jane' }, address: '192.0.2.77' }), ['pair']);
  const sender = { local: 'a', domain: 'example.net' };
  assert.deepEqual(exceeded(data, { sender, bytes: 8000 }), []);
  assert.deepEqual(exceeded(data, { sender, bytes: 8000 }), ['volume']);
});

test('the section is strict', () => {
  const good = { name: 'a', rate: '1/s', by: ['client'] };
  assert.ok(limitsSection.safeParse([good]).success);
  for (const wrong of [
    { ...good, rate: '1/w' },
    { ...good, rate: '0/s' },
    { ...good, rate: '20000/s' },
    { ...good, by: [] },
    { ...good, by: ['recipient'], count: 'bytes' },
    { ...good, burst: 0 },
  ])
    assert.ok(!limitsSection.safeParse([wrong]).success, JSON.stringify(wrong));
  assert.ok(!limitsSection.safeParse([good, good]).success, 'names are unique');
});
