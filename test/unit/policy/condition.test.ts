import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isLike } from '../../../src/base/glob.ts';
import type { Fault } from '../../../src/policy/condition.ts';
import { factsOf, holds, listsOf, parseCondition } from '../../../src/policy/condition.ts';
import type { Facts } from '../../../src/policy/facts.ts';

const lists = { has: (list: string, value: string) => list === 'friends' && value === '192.0.2.1' };

function parsed(value: unknown) {
  const faults: Fault[] = [];
  const condition = parseCondition(value, ['when'], faults);
  assert.deepEqual(faults, []);
  return condition;
}
const ask = (value: unknown, facts: Facts): boolean => holds(parsed(value), facts, lists);
const faultsOf = (value: unknown): readonly string[] => {
  const faults: Fault[] = [];
  parseCondition(value, ['when'], faults);
  return faults.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

const FACTS: Facts = {
  side: 'outside',
  'client.address': '192.0.2.1',
  'client.confirmed': false,
  'dnsbl.score': 4.5,
  listed: ['One', 'two'],
  from: 'Bulk@Example.org',
};

/** Condition, and whether it holds for FACTS. */
const CASES: readonly [unknown, boolean][] = [
  [{}, true],
  [{ side: 'outside' }, true],
  [{ side: 'OUTSIDE' }, true],
  [{ side: 'inside' }, false],
  [{ side: ['inside', 'outside'] }, true],
  [{ side: 'outside', 'client.confirmed': true }, false],
  [{ 'client.confirmed': false }, true],
  [{ 'dnsbl.score': { atLeast: 4.5 } }, true],
  [{ 'dnsbl.score': { atLeast: 4.6 } }, false],
  [{ 'dnsbl.score': { atMost: 4.5, atLeast: 4 } }, true],
  [{ 'dnsbl.score': 4.5 }, true],
  [{ listed: 'one' }, true],
  [{ listed: { is: 'three' } }, false],
  [{ listed: { like: 't?o' } }, true],
  [{ from: { like: '*@example.org' } }, true],
  [{ from: { like: ['*@example.com', 'bulk*'] } }, true],
  [{ from: { like: 'example' } }, false],
  [{ 'client.address': { in: 'friends' } }, true],
  [{ from: { in: 'friends' } }, false],
  [{ from: { not: { like: '*@example.org' } } }, false],
  [{ from: { not: { like: '*@example.com' } } }, true],
  [{ not: { side: 'inside' } }, true],
  [{ any: [{ side: 'inside' }, { listed: 'two' }] }, true],
  [{ all: [{ side: 'outside' }, { listed: 'three' }] }, false],
  // What is not known passes no test, but for this one.
  [{ spf: 'fail' }, false],
  [{ spf: { not: 'fail' } }, false],
  [{ not: { spf: 'fail' } }, true],
  [{ spf: { known: false } }, true],
  [{ spf: { known: true } }, false],
  [{ side: { known: true } }, true],
];

test('conditions hold as their table says', () => {
  for (const [condition, expected] of CASES) assert.equal(ask(condition, FACTS), expected, JSON.stringify(condition));
});

test('facts and lists that a condition asks for are known before it is asked', () => {
  const condition = parsed({
    side: 'outside',
    any: [{ not: { spf: 'pass' } }, { 'client.address': { not: { in: ['friends', 'others'] } } }],
  });
  assert.deepEqual(factsOf(condition), ['side', 'spf', 'client.address']);
  assert.deepEqual(listsOf(condition), ['friends', 'others']);
});

test('what is wrong is told with its place, all at once', () => {
  assert.deepEqual(faultsOf([]), ['when: write a map of facts to tests']);
  assert.deepEqual(faultsOf({ 'client.adress': 'x', side: 3, 'dnsbl.score': { atLeast: 'many' } }), [
    'when.client.adress: there is no fact "client.adress"',
    'when.side: side is compared with a text, or a list of such',
    'when.dnsbl.score.atLeast: write a number',
  ]);
  assert.deepEqual(faultsOf({ any: [] }), ['when.any: write a list of conditions']);
  assert.deepEqual(faultsOf({ any: [{ side: {} }] }), ['when.any.0.side: write what the fact is compared with']);
  assert.deepEqual(faultsOf({ side: { atLeast: 1 } }), ['when.side.atLeast: side is no number']);
  assert.deepEqual(faultsOf({ side: { matches: '.*' } }), [
    'when.side.matches: there is no such test: is, oneOf, not, like, in, atLeast, atMost, known',
  ]);
  assert.deepEqual(faultsOf({ from: { like: 'x'.repeat(300) } }), ['when.from.like: the pattern is too long']);
});

test('conditions that are nested without end are refused', () => {
  let condition: unknown = { side: 'outside' };
  for (let depth = 0; depth < 1000; depth++) condition = { not: condition };
  assert.match(faultsOf(condition)[0]!, /nested too deep$/);
});

test('a glob is what a regular expression of the same shape is', () => {
  const piece = fc.constantFrom('a', 'b', '*', '?', '.');
  const pattern = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
  const text = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 10 }).map((chars) => chars.join(''));
  fc.assert(
    fc.property(pattern, text, (like, given) => {
      const source = like.replace(/\./g, '\\.').replace(/\*/g, '.*').replace(/\?/g, '.');
      assert.equal(isLike(like, given), new RegExp(`^${source}$`, 's').test(given));
    }),
    { numRuns: 3000 },
  );
});

test('a glob made to be slow is not', () => {
  let steps = 0;
  const text = new Proxy(new String('a'.repeat(1000)), {
    get: (target, name) => {
      steps++;
      return Reflect.get(target, name) as unknown;
    },
  });
  assert.equal(isLike(`${'*a'.repeat(60)}*b`, text as unknown as string), false);
  assert.ok(steps < 1_000_000, `${steps} looks`);
});
