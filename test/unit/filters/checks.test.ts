/** What a filter says passes only as what it should be. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  checkedFieldName,
  checkedFieldValue,
  checkedRecipient,
  checkedReply,
  checkedSender,
  parsedReply,
} from '../../../src/filters/checks.ts';
import { FilterFailure } from '../../../src/filters/filter.ts';

const malformed = (error: unknown): boolean => error instanceof FilterFailure && error.reason === 'malformed';

test('field names', () => {
  for (const name of ['Subject', 'X-A_b.c!', 'x'.repeat(76)]) assert.equal(checkedFieldName(name), name);
  for (const name of ['', 'a b', 'a:', 'a\r', 'ä', 'a\0', 'x'.repeat(77), '\t'])
    assert.throws(() => checkedFieldName(name), malformed);
});

test('field values are one field, whatever they hold', () => {
  assert.equal(checkedFieldValue('A', ' a\n\tb\r\n c'), ' a\r\n\tb\r\n c');
  assert.equal(checkedFieldValue('A', ' grüße'), ' grüße');
  for (const value of [
    'a\r\nb',
    'a\nb: c',
    'a\rb',
    'a\r\n\r\nb',
    'a\n \n b',
    'a\0',
    'a\x7f',
    'a\x85b',
    'a\n',
    'x'.repeat(999),
  ])
    assert.throws(() => checkedFieldValue('A', value), malformed, JSON.stringify(value));
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'\r\n\t :aä\0') }), (value) => {
      let checked: string;
      try {
        checked = checkedFieldValue('A', value);
      } catch (error) {
        return assert.ok(malformed(error));
      }
      assert.doesNotMatch(checked, /\r(?!\n)|(?<!\r)\n|\r\n(?![ \t])|\n[ \t]*(?:\r|$)|\0/);
    }),
  );
});

test('addresses', () => {
  assert.equal(checkedRecipient('<bob@Example.TEST>'), 'bob@example.test');
  assert.equal(checkedRecipient('bob@example.test'), 'bob@example.test');
  assert.equal(checkedSender(''), '');
  assert.equal(checkedSender('<>'), '');
  for (const text of [
    '',
    '<>',
    'bob',
    'a@b> <c@d',
    '<a@b.test>x',
    'a@b.test\r\nc',
    'postmaster',
    `${'x'.repeat(70)}@b.test`,
  ])
    assert.throws(() => checkedRecipient(text), malformed, text);
  for (const text of ['bob', '<a@b.test> SIZE=1', 'postmaster'])
    assert.throws(() => checkedSender(text), malformed, text);
});

describe('replies', () => {
  test('have the class of their verdict', () => {
    assert.deepEqual(checkedReply('reject', 554, '5.7.9', 'no'), { code: 554, enhanced: '5.7.9', text: 'no' });
    assert.deepEqual(checkedReply('defer', 421, undefined, 'no').code, 451);
    for (const code of [250, 354, 451, 600, 5500, 560, 550.5, Number.NaN])
      assert.throws(() => checkedReply('reject', code, undefined, ''), malformed, String(code));
    assert.throws(() => checkedReply('defer', 451, '5.7.1', ''), malformed);
    assert.throws(() => checkedReply('reject', 550, '5.7.1\r\n', ''), malformed);
  });

  test('are one line of printable ASCII, and have words always', () => {
    const { text } = checkedReply('reject', 550, undefined, 'a\r\n250 b\0ü\t c');
    assert.equal(text, 'a 250 b?? c');
    assert.equal(checkedReply('reject', 550, undefined, 'x'.repeat(5000)).text.length, 400);
    assert.notEqual(checkedReply('reject', undefined, undefined, ' \r\n').text, '');
  });

  test('are read from lines of one code', () => {
    assert.deepEqual(parsedReply('550 5.7.1 no'), {
      verdict: 'reject',
      reply: { code: 550, enhanced: '5.7.1', text: 'no' },
    });
    assert.deepEqual(parsedReply('451').verdict, 'defer');
    assert.deepEqual(parsedReply('550-a\n550 b').reply.text, 'a b');
    for (const text of ['', '250 ok', '550x', '55', '550-a\n451 b', '650 a', '550 4.7.1 a'])
      assert.throws(() => parsedReply(text), malformed, text);
  });
});
