import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gatherer } from '../../../src/facts/gather.ts';
import type { Answer, Source, Subject } from '../../../src/facts/source.ts';
import type { FactId } from '../../../src/policy/facts.ts';

const SUBJECT: Subject = {
  side: 'outside',
  address: '192.0.2.1',
  helo: '',
  tls: false,
  sender: null,
  recipient: null,
};
const NEEDED: ReadonlySet<FactId> = new Set<FactId>(['dnsbl.score', 'listed', 'client.name']);
const LONG_MS = 60_000;

function source(name: string, gives: FactId, ask: Source['ask']): Source {
  return { name, stage: 'connect', gives: [gives], ask };
}

test('all sources of a stage are asked at once, and what nobody needs is not asked', async () => {
  const begun: string[] = [];
  const finish: ((answer: Answer) => void)[] = [];
  const later = (name: string, gives: FactId) =>
    source(name, gives, () => {
      begun.push(name);
      return new Promise((resolve) => finish.push(resolve));
    });
  const gatherer = new Gatherer([later('a', 'dnsbl.score'), later('b', 'listed'), later('c', 'spf')], NEEDED, LONG_MS);
  const gathered = gatherer.gather('connect', SUBJECT);
  assert.deepEqual(begun, ['a', 'b']);
  finish[1]!({ facts: { listed: ['x'] } });
  finish[0]!({ facts: { 'dnsbl.score': 3 } });
  assert.deepEqual((await gathered).facts, { listed: ['x'], 'dnsbl.score': 3 });
});

test('where all answer at once, so does the gatherer', () => {
  const gatherer = new Gatherer(
    [source('a', 'client.name', () => ({ facts: { 'client.name': 'x' } }))],
    NEEDED,
    LONG_MS,
  );
  const gathered = gatherer.gather('connect', SUBJECT);
  assert.ok(!(gathered instanceof Promise));
  assert.deepEqual(gathered.facts, { 'client.name': 'x' });
  assert.deepEqual(gatherer.gather('mail', SUBJECT), { facts: {}, asked: [] });
});

test('what two sources give of one fact is put together', () => {
  const one = source('one', 'dnsbl.score', () => ({ facts: { 'dnsbl.score': 2, listed: ['one'] } }));
  const two = source('two', 'dnsbl.score', () => ({ facts: { 'dnsbl.score': 3, listed: ['two'] } }));
  const gathered = new Gatherer([one, two], NEEDED, LONG_MS).gather('connect', SUBJECT);
  assert.ok(!(gathered instanceof Promise));
  assert.deepEqual(gathered.facts, { 'dnsbl.score': 5, listed: ['one', 'two'] });
});

test('who does not answer in time is missing, is told to stop, and the others count', async () => {
  let stopped = false;
  const silent = source('silent', 'listed', (_, signal) => {
    signal.addEventListener('abort', () => {
      stopped = true;
    });
    return new Promise(() => {});
  });
  const quick = source('quick', 'client.name', async () => ({ facts: { 'client.name': 'x' } }));
  const { facts, asked } = await new Gatherer([silent, quick], NEEDED, 20).gather('connect', SUBJECT);
  assert.deepEqual(facts, { 'client.name': 'x' });
  assert.equal(stopped, true);
  assert.deepEqual(
    asked.map((each) => [each.source, each.trouble]),
    [
      ['silent', 'no answer in time'],
      ['quick', ''],
    ],
  );
});
