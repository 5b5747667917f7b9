/** Why a rule holds or does not, as a person reads it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds, parseCondition } from '../../../src/policy/condition.ts';
import { decisive, valueText } from '../../../src/policy/decisive.ts';
import type { Facts } from '../../../src/policy/facts.ts';

const lists = { has: (list: string, value: string) => list === 'friends' && value === '192.0.2.1' };

const FACTS: Facts = {
  side: 'outside',
  'client.address': '192.0.2.1',
  'dnsbl.score': 4,
  listed: ['one', 'two'],
  from: '',
};

/** Condition, whether it holds, and why. */
const CASES: readonly [unknown, boolean, string][] = [
  [{}, true, ''],
  [{ side: 'outside', 'dnsbl.score': { atLeast: 3 } }, true, 'side=outside (is outside); dnsbl.score=4 (at least 3)'],
  [{ side: 'inside', 'dnsbl.score': { atLeast: 5 } }, false, 'side=outside (is inside)'],
  [{ side: 'outside', 'dnsbl.score': { atLeast: 5 } }, false, 'dnsbl.score=4 (at least 5)'],
  [{ 'dnsbl.score': { atLeast: 1, atMost: 3 } }, false, 'dnsbl.score=4 (at most 3)'],
  [{ 'dnswl.score': { atLeast: 1 } }, false, 'dnswl.score=unknown (at least 1)'],
  [{ not: { 'dnswl.score': { atLeast: 1 } } }, true, 'dnswl.score=unknown (not at least 1)'],
  [{ not: { 'client.address': { in: 'friends' } } }, false, 'client.address=192.0.2.1 (not in friends)'],
  [{ any: [{ side: 'inside' }, { from: '' }] }, true, 'from="" (is "")'],
  [{ any: [{ side: 'inside' }, { from: 'x' }] }, false, 'side=outside (is inside); from="" (is x)'],
  [
    { not: { any: [{ side: 'inside' }, { helo: { known: true } }] } },
    true,
    'side=outside (not is inside); helo=unknown (not known)',
  ],
  [{ not: { 'dnsbl.score': { atLeast: 1, atMost: 9 } } }, false, 'dnsbl.score=4 (not (at least 1 and at most 9))'],
  [{ listed: { not: { like: ['t*', 'x'] } } }, false, 'listed=one, two (not like t*, x)'],
  [{ side: ['inside', 'both'] }, false, 'side=outside (one of inside, both)'],
];

for (const [value, held, why] of CASES) {
  test(`${JSON.stringify(value)} ${held ? 'holds' : 'does not hold'}`, () => {
    const condition = parseCondition(value, ['when'], []);
    assert.equal(holds(condition, FACTS, lists), held);
    const clauses = decisive(condition, FACTS, lists);
    assert.equal(clauses.map(({ fact, value, test }) => `${fact}=${valueText(value)} (${test})`).join('; '), why);
  });
}

test('a long test is cut, an empty list is told apart from what is not known', () => {
  const condition = parseCondition({ from: Array.from({ length: 500 }, (_, at) => `a${at}@x.example`) }, ['when'], []);
  const [clause] = decisive(condition, FACTS, lists);
  assert.ok(clause!.test.length < 210 && clause!.test.endsWith('…'));
  assert.deepEqual([valueText([]), valueText(undefined), valueText(false)], ['none', 'unknown', 'false']);
});
