/** Header changes of filters, one after the other, as edits over the section. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { areSound } from '../../../src/message/edits.ts';
import type { Edit } from '../../../src/message/envelope.ts';
import { fieldText, HEADER_CHANGES_MAX, type HeaderChange, headerEdits } from '../../../src/message/header_changes.ts';
import { splitHeaders } from '../../../src/message/headers.ts';

const SECTION = 'A: 1\r\nB: 2\r\n more\r\nA: 3\r\n\r\nbody';
const spliced = (edits: readonly Edit[], content: string): string =>
  edits.reduceRight((text, { at, drop, insert }) => text.slice(0, at) + insert + text.slice(at + drop), content);
const changed = (changes: readonly HeaderChange[], content = SECTION): string => {
  const { edits } = headerEdits(splitHeaders(content), changes);
  assert.ok(areSound(edits, content.length));
  return spliced(edits, content);
};
const add = (name: string, value: string, before: number | 'end' = 'end'): HeaderChange => ({
  tag: 'add',
  name,
  value,
  before,
});
const change = (name: string, nth: number, value: string): HeaderChange => ({ tag: 'change', name, nth, value });
const remove = (name: string, nth: number | 'all'): HeaderChange => ({ tag: 'remove', name, nth });

describe('changes', () => {
  const table: readonly (readonly [name: string, changes: readonly HeaderChange[], out: string])[] = [
    ['none', [], SECTION],
    ['add at the end', [add('X', 'y')], 'A: 1\r\nB: 2\r\n more\r\nA: 3\r\nX: y\r\n\r\nbody'],
    ['add on top', [add('X', 'y', 0)], `X: y\r\n${SECTION}`],
    ['add in the middle', [add('X', 'y', 2)], 'A: 1\r\nB: 2\r\n more\r\nX: y\r\nA: 3\r\n\r\nbody'],
    ['add far behind', [add('X', 'y', 99)], 'A: 1\r\nB: 2\r\n more\r\nA: 3\r\nX: y\r\n\r\nbody'],
    ['change', [change('a', 2, '9')], 'A: 1\r\nB: 2\r\n more\r\na: 9\r\n\r\nbody'],
    ['change one that is not there', [change('C', 1, '9')], 'A: 1\r\nB: 2\r\n more\r\nA: 3\r\nC: 9\r\n\r\nbody'],
    ['remove a folded one', [remove('b', 1)], 'A: 1\r\nA: 3\r\n\r\nbody'],
    ['remove one that is not there', [remove('A', 3)], SECTION],
    ['remove the first twice', [remove('A', 1), remove('A', 1)], 'B: 2\r\n more\r\n\r\nbody'],
    ['remove all', [remove('A', 'all')], 'B: 2\r\n more\r\n\r\nbody'],
    ['remove the last', [remove('A', -1)], 'A: 1\r\nB: 2\r\n more\r\n\r\nbody'],
    ['change the last', [change('A', -1, '9')], 'A: 1\r\nB: 2\r\n more\r\nA: 9\r\n\r\nbody'],
    ['remove from behind', [remove('A', 2), remove('A', 1)], 'B: 2\r\n more\r\n\r\nbody'],
    ['remove what was added', [add('X', 'y'), remove('X', 1)], SECTION],
    [
      'change what was added',
      [add('X', 'y'), change('X', 1, 'z')],
      'A: 1\r\nB: 2\r\n more\r\nA: 3\r\nX: z\r\n\r\nbody',
    ],
    ['add where one was removed', [remove('A', 1), add('X', 'y', 0)], 'X: y\r\nB: 2\r\n more\r\nA: 3\r\n\r\nbody'],
    ['no names', [add('', 'y'), add('a b', 'y'), add('X:', 'y'), remove('A', 0), change('A', 0.5, 'y')], SECTION],
  ];
  for (const [name, changes, out] of table) test(name, () => assert.equal(changed(changes), out));

  test('of content without fields, or without a body', () => {
    assert.equal(changed([add('X', 'y')], '\r\nbody'), 'X: y\r\n\r\nbody');
    assert.equal(changed([add('X', 'y')], ''), 'X: y\r\n');
    assert.equal(changed([add('X', 'y')], 'A: 1\r\n'), 'A: 1\r\nX: y\r\n');
    assert.equal(changed([add('X', 'y')], 'A: 1'), 'A: 1\r\nX: y\r\n');
  });

  test('beyond a thousand are ignored, and counted', () => {
    const { edits, ignored } = headerEdits(splitHeaders(SECTION), Array(HEADER_CHANGES_MAX + 5).fill(add('X', 'y')));
    assert.equal(ignored, 5);
    assert.equal(edits.length, 1);
  });
});

test('a field is one field, whatever its value is', () => {
  assert.equal(fieldText('X', 'a\nb\r\n\tc\rd\n'), 'X: a\r\n\tb\r\n\tc\r\n\td\r\n');
  assert.equal(fieldText('X', 'a\r\n\r\nbody'), 'X: a\r\n\tbody\r\n', 'no empty line, so no end of the header');
  const property = fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (value) => {
    const { fields, complete } = splitHeaders(fieldText('X', value));
    assert.deepEqual([fields.map(({ name }) => name), complete], [['X'], false]);
  });
  fc.assert(property, { numRuns: 1000 });
});
