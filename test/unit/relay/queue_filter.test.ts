import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashOf } from '../../../src/base/hash.ts';
import type { QueueFilter } from '../../../src/relay/queue_filter.ts';
import { EVERYTHING, filterFaults, isEverything, matcherOf, queueStateOf } from '../../../src/relay/queue_filter.ts';

const NOW_MS = 1_800_000_000_000;

type Mail = { id?: string; sender?: string; recipient?: string; site?: string; ageSeconds?: number };

/** All questions in their order, as a scan asks them. */
function matches(filter: Partial<QueueFilter>, mail: Mail = {}): boolean {
  const { id = 'id-1', sender = 'a@x.example', recipient = 'b@here.example', site = 'mx y', ageSeconds = 0 } = mail;
  const matcher = matcherOf({ ...EVERYTHING, ...filter }, hashOf, NOW_MS);
  const domain = recipient.slice(recipient.lastIndexOf('@') + 1);
  const atRest =
    matcher.message(NOW_MS - ageSeconds * 1000, hashOf(id), hashOf(sender)) &&
    matcher.recipient({ addressHash: hashOf(recipient), domain, site, state: 'waiting' });
  const awake = matcher.texts({ id, sender }) && matcher.address(recipient);
  if (!matcher.needsTexts) assert.ok(awake, 'what the index decides, the texts do not take back');
  if (awake && !atRest)
    assert.ok(filter.sites ?? filter.states ?? filter.domains ?? filter.ageSecondsMin !== undefined);
  return atRest && awake;
}

test('no condition means every message', () => {
  assert.ok(matches({}));
  assert.ok(isEverything(EVERYTHING));
  assert.ok(!isEverything({ ...EVERYTHING, senders: [''] }));
  assert.ok(!isEverything({ ...EVERYTHING, ageSecondsMax: 0 }));
});

test('terms of one kind are alternatives, kinds are conditions', () => {
  const filter = { senders: ['a@x.example', 'c@x.example'], domains: ['here.example'] };
  assert.ok(matches(filter));
  assert.ok(matches(filter, { sender: 'c@x.example' }));
  assert.ok(!matches(filter, { sender: 'd@x.example' }));
  assert.ok(!matches(filter, { recipient: 'b@there.example' }));
});

test('an asterisk stands for any text, and nothing else is special', () => {
  assert.ok(matches({ senders: ['*@x.example'] }));
  assert.ok(matches({ senders: ['*'] }));
  assert.ok(matches({ senders: ['a*'] }));
  assert.ok(matches({ senders: ['*.example'] }));
  assert.ok(matches({ senders: ['*x*e*'] }));
  assert.ok(!matches({ senders: ['*x*e'] }, { sender: 'xe@x.example.org' }));
  for (const term of [
    '.@x.example',
    '[a]@x.example',
    'a@x?example',
    '(a|b)@x.example',
    'a+@x.example',
    '^a@x.example$',
  ])
    assert.ok(!matches({ senders: [term] }), term);
  assert.ok(matches({ senders: ['a.+(b@x.example'] }, { sender: 'a.+(b@x.example' }));
});

test('a piece of a term is used once: ends do not overlap', () => {
  assert.ok(!matches({ senders: ['ab*ba'] }, { sender: 'aba' }));
  assert.ok(matches({ senders: ['ab*ba'] }, { sender: 'abba' }));
  assert.ok(!matches({ sites: ['a*b*b'] }, { site: 'ab' }));
});

test('matching is that of a regular expression, for any text and term', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 8 });
  fc.assert(
    fc.property(letters, letters, (term, text) => {
      const pieces = term.split('*').map((piece) => piece.replaceAll('.', '\\.'));
      assert.equal(matches({ sites: [term] }, { site: text }), new RegExp(`^${pieces.join('.*')}$`).test(text));
    }),
  );
});

test('a term that would make a regular expression explode costs nothing', () => {
  const term = '*a'.repeat(400);
  assert.ok(!matches({ sites: [term] }, { site: `${'a'.repeat(100_000)}b` }));
});

test("the null sender is '<>' or an empty text", () => {
  for (const term of ['<>', '']) {
    assert.ok(matches({ senders: [term] }, { sender: '' }), term);
    assert.ok(!matches({ senders: [term] }), term);
  }
});

test('local parts are compared as they are, domains as they are routed', () => {
  assert.ok(matches({ senders: ['<a@X.EXAMPLE>'] }));
  assert.ok(!matches({ senders: ['A@x.example'] }));
  assert.ok(matches({ domains: ['HERE.example'] }));
  assert.ok(matches({ domains: ['bücher.example'] }, { recipient: 'b@xn--bcher-kva.example' }));
  assert.ok(matches({ domains: ['*.Example'] }));
});

test('what the index knows needs no reading', () => {
  const needs = (filter: Partial<QueueFilter>) => matcherOf({ ...EVERYTHING, ...filter }, hashOf, NOW_MS).needsTexts;
  const decided = { domains: ['a*'], sites: ['*b'], states: ['held'] as const, ageSecondsMin: 5 };
  assert.ok(!needs({ ...decided, recipients: ['*@here.example', '*'], senders: ['*'] }));
  for (const filter of [
    { ids: ['id-1'] },
    { senders: ['a@b.c'] },
    { recipients: ['a*@b.c'] },
    { recipients: ['a@b.c'] },
  ])
    assert.ok(needs(filter), 'equal hashes may be those of other texts');
});

test('an equal hash alone is no match', () => {
  const clash = () => 7;
  const matcher = matcherOf({ ...EVERYTHING, ids: ['id-1'], recipients: ['b@here.example'] }, clash, NOW_MS);
  assert.ok(matcher.message(NOW_MS, 7, 7));
  assert.ok(!matcher.texts({ id: 'id-2', sender: '' }));
  assert.ok(!matcher.address('c@here.example'));
});

test('ages are bounds from both sides', () => {
  const filter = { ageSecondsMin: 60, ageSecondsMax: 3600 };
  assert.deepEqual(
    [59, 60, 3600, 3601].map((ageSeconds) => matches(filter, { ageSeconds })),
    [false, true, true, false],
  );
});

test('states: held by an endless wait, active by a claim', () => {
  assert.equal(queueStateOf(NOW_MS, false, NOW_MS), 'due');
  assert.equal(queueStateOf(0, false, NOW_MS), 'due');
  assert.equal(queueStateOf(NOW_MS + 1, false, NOW_MS), 'waiting');
  assert.equal(queueStateOf(Number.POSITIVE_INFINITY, false, NOW_MS), 'held');
  assert.equal(queueStateOf(Number.POSITIVE_INFINITY, true, NOW_MS), 'active');
  assert.ok(!matches({ states: ['held', 'due'] }));
});

test('faults say what to write', () => {
  const faults = (filter: Partial<QueueFilter>) => filterFaults({ ...EVERYTHING, ...filter });
  assert.deepEqual(faults({ ids: ['mib3k2x9-a1b2c3-00-0001'], senders: ['', '*@b'] }), []);
  assert.match(faults({ ids: ['../x'] })[0]!, /"\.\.\/x" is no message id: they look like/);
  assert.match(faults({ domains: ['a@b.example'] })[0]!, /is an address; write what stands behind the @/);
  assert.match(faults({ sites: [''] })[0]!, /matches nothing/);
  assert.match(faults({ recipients: ['x'.repeat(2000)] })[0]!, /^"x{60}…": a term has at most 1000 characters$/);
});
