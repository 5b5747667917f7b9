import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePolicy } from '../../../src/policy/document.ts';

const faultsOf = (value: unknown): readonly string[] => {
  const parsed = parsePolicy(value);
  assert.ok('faults' in parsed, 'it was taken');
  return parsed.faults.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

test('every fault is told, of form and of meaning, each at its place', () => {
  const rule = { id: 'a', when: { side: 'outside' }, do: { accept: true } };
  const faults = faultsOf({
    rules: [rule, { ...rule, do: {} }, { ...rule, id: 'b', when: { sied: 'outside', helo: { in: 'nobody' } } }, rule],
    lists: { some: { entries: ['a.example'], flie: 'x' } },
    limts: [],
  });
  for (const [at, words] of [
    ['rules.1.do', 'write one action'],
    ['rules.2.when.sied', 'there is no fact'],
    ['rules.2.when', 'there is no list "nobody"'],
    ['rules.3.id', 'a is the id of another rule, too'],
    ['lists.some.flie', 'there is no such key'],
    ['limts', 'there is no such key'],
  ])
    assert.ok(
      faults.some((fault) => fault.startsWith(`${at}: ${words}`)),
      `${at}: ${words}, and not ${faults.join('; ')}`,
    );
  assert.equal(faults.length, 6);
});

test('whatever stands in the file, it is a fault and no more', () => {
  for (const value of ['x', 1, false, [], [1], { rules: 'x' }, { rules: [null, 1, [], {}] }, { lists: 1, rules: {} }])
    assert.ok(faultsOf(value).length > 0, JSON.stringify(value));
});
