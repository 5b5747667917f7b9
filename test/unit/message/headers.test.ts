/** Header sections of all kinds, split into fields that add up to the whole. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { findField, splitHeaders, unfolded } from '../../../src/message/headers.ts';

const namesAndValues = (text: string) => splitHeaders(text).fields.map(({ name, value }) => [name, value]);

describe('fields', () => {
  const table: readonly (readonly [name: string, text: string, fields: readonly (readonly string[])[]])[] = [
    ['none', '', []],
    ['an empty line first', '\r\nA: b\r\n', []],
    ['one', 'A: b\r\n', [['A', ' b']]],
    ['without an end', 'A: b', [['A', ' b']]],
    [
      'two',
      'A: b\r\nC:d\r\n',
      [
        ['A', ' b'],
        ['C', 'd'],
      ],
    ],
    [
      'folded',
      'A: b\r\n c\r\n\td\r\nE: f\r\n',
      [
        ['A', ' b\r\n c\r\n\td'],
        ['E', ' f'],
      ],
    ],
    ['folded at once', 'A:\r\n b\r\n', [['A', '\r\n b']]],
    [
      'a line of blanks continues',
      'A: b\r\n \r\nC: d\r\n',
      [
        ['A', ' b\r\n '],
        ['C', ' d'],
      ],
    ],
    ['blanks before the colon', 'A \t: b\r\n', [['A', ' b']]],
    ['empty', 'A:\r\n', [['A', '']]],
    ['colons in the value', 'A: b: c\r\n', [['A', ' b: c']]],
    [
      'LF alone',
      'A: b\nC: d\n\nbody',
      [
        ['A', ' b'],
        ['C', ' d'],
      ],
    ],
    ['up to the empty line', 'A: b\r\n\r\nC: d\r\n', [['A', ' b']]],
    [
      'a line that is none',
      'From me Mon\r\nA: b\r\n',
      [
        ['', 'From me Mon'],
        ['A', ' b'],
      ],
    ],
    [
      'a continuation of nothing',
      ' x\r\nA: b\r\n',
      [
        ['', ' x'],
        ['A', ' b'],
      ],
    ],
    ['no name', ': x\r\n', [['', ': x']]],
    ['a name in 8-bit', 'Ä: x\r\n', [['', 'Ä: x']]],
    ['a CR that ends nothing', 'A: b\rc\r\n', [['A', ' b\rc']]],
  ];
  for (const [name, text, fields] of table) test(name, () => assert.deepEqual(namesAndValues(text), fields));

  test('their places add up to the section', () => {
    const line = fc.constantFrom('A: b', 'Long-Name:c', ' folded', '\t', '', 'junk', ':', 'A:\r', 'ü: 1');
    const end = fc.constantFrom('\r\n', '\n', '');
    const property = fc.property(fc.array(fc.tuple(line, end)), (lines) => {
      const text = lines.map((each) => each.join('')).join('');
      const section = splitHeaders(text);
      let at = 0;
      for (const field of section.fields) {
        assert.equal(field.start, at);
        assert.ok(field.end > at);
        assert.ok(text.slice(field.start, field.end).startsWith(field.name));
        at = field.end;
      }
      const rest = text.slice(at, section.end);
      assert.ok(section.complete ? rest === '\r\n' || rest === '\n' : rest === '' && section.end === text.length);
    });
    fc.assert(property, { numRuns: 500 });
  });

  test('beyond 1000 are not read', () => {
    const section = splitHeaders(`${'A: b\r\n'.repeat(1500)}\r\n`);
    assert.deepEqual([section.fields.length, section.end, section.complete], [1000, 6000, false]);
  });

  test('of a megabyte without a colon or a line end take no time to speak of', () => {
    assert.equal(splitHeaders('x'.repeat(1_000_000)).fields.length, 1);
    assert.equal(splitHeaders(`A: ${'b\r\n '.repeat(250_000)}`).fields.length, 1);
  });
});

test('a field is found whatever its case, and unfolded', () => {
  const section = splitHeaders('Subject: a\r\nMESSAGE-ID:\r\n <1@x>\r\nmessage-id: <2@x>\r\n');
  const field = findField(section, 'Message-ID');
  assert.equal(field && unfolded(field), '<1@x>');
  assert.equal(findField(section, 'Message'), undefined);
  assert.equal(unfolded({ name: 'A', value: ' b\r\n\tc\n d ', start: 0, valueStart: 2, end: 0 }), 'b\tc d');
});
