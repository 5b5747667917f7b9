import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Conclusions, Questions } from '../../../src/facts/questions.ts';
import { FakeDns } from '../../support/fake_dns.ts';

test('beyond the budget a question is answered as by nobody, and not asked', async () => {
  const dns = new FakeDns({ 'A a.test': ['192.0.2.1'] });
  const questions = new Questions(dns, 2, new AbortController().signal);
  assert.equal((await questions.query('a.test', 'A')).tag, 'records');
  assert.equal((await questions.query('b.test', 'A')).tag, 'none');
  assert.deepEqual(await questions.query('a.test', 'A'), { tag: 'failed', reason: 'limit' });
  assert.equal(dns.asked.length, 2);
});

test('what was concluded holds as long as the shortest answer; after a failure not at all', async () => {
  const records: Record<string, string[] | 'servfail'> = { 'A a.test': ['192.0.2.1'] };
  const questions = new Questions(new FakeDns(records, 60), 9, new AbortController().signal);
  await questions.query('a.test', 'A');
  assert.equal(questions.ttlSeconds, 60);
  records['A b.test'] = 'servfail';
  await questions.query('b.test', 'A');
  assert.equal(questions.ttlSeconds, 0);
});

test('an aborted signal answers what is under way and what comes', async () => {
  const dns = new FakeDns({});
  dns.gate = new Promise(() => undefined);
  const controller = new AbortController();
  const questions = new Questions(dns, 9, controller.signal);
  const answer = questions.query('a.test', 'A');
  controller.abort();
  assert.deepEqual(await answer, { tag: 'failed', reason: 'timeout' });
  assert.deepEqual(await questions.query('a.test', 'A'), { tag: 'failed', reason: 'timeout' });
});

test('conclusions are forgotten in time, and the one used least when there are too many', () => {
  let nowMs = 0;
  const known = new Conclusions<number>(2, () => nowMs);
  known.keep('a', 1, 10);
  known.keep('b', 2, 20);
  nowMs = 1000;
  assert.equal(known.recall('a'), 1);
  known.keep('c', 3, 20);
  assert.equal(known.recall('b'), undefined);
  nowMs = 10_000;
  assert.equal(known.recall('a'), undefined);
  assert.equal(known.recall('c'), 3);
  assert.equal(known.size, 1);
  known.keep('d', 4, 0);
  known.keep('x'.repeat(2000), 5, 20);
  known.keep('e', 6, Number.POSITIVE_INFINITY);
  nowMs += 600_000;
  assert.equal(known.recall('e'), undefined);
});
