/** Content is taken apart the same way however it is cut, and nothing of a body is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SplitField } from '../../../src/filters/field_splitter.ts';
import { FieldSplitter } from '../../../src/filters/field_splitter.ts';

type Split = { readonly fields: SplitField[]; readonly body: string };

function split(content: string, pieceBytes: number): Split {
  const bytes = Buffer.from(content, 'latin1');
  const splitter = new FieldSplitter();
  const fields: SplitField[] = [];
  let body = '';
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const chunk = bytes.subarray(at, at + pieceBytes);
    if (splitter.done) body += chunk.toString('latin1');
    else {
      const found = splitter.push(chunk);
      fields.push(...found.fields);
      body += found.before + (found.body === null ? '' : Buffer.from(found.body).toString('latin1'));
    }
  }
  const rest = splitter.end();
  return { fields: [...fields, ...rest.fields], body: body + rest.before };
}

const CASES: readonly (readonly [what: string, content: string, split: Split])[] = [
  [
    'fields and a body',
    'A: b\r\nC:d\r\n\r\nbody\r\n',
    {
      fields: [
        { name: 'A', value: ' b' },
        { name: 'C', value: 'd' },
      ],
      body: 'body\r\n',
    },
  ],
  ['folds', 'A: b\r\n\tc\r\n d\r\n\r\n', { fields: [{ name: 'A', value: ' b\r\n\tc\r\n d' }], body: '' }],
  ['no body at all', 'A: b\r\n', { fields: [{ name: 'A', value: ' b' }], body: '' }],
  [
    'a last line without its end',
    'A: b\r\nC: d',
    {
      fields: [
        { name: 'A', value: ' b' },
        { name: 'C', value: ' d' },
      ],
      body: '',
    },
  ],
  ['no headers', '\r\nA: b\r\n', { fields: [], body: 'A: b\r\n' }],
  [
    'a line that is no field ends them',
    'A: b\r\nhello\r\nC: d\r\n',
    { fields: [{ name: 'A', value: ' b' }], body: 'hello\r\nC: d\r\n' },
  ],
  ['a fold of nothing', ' x\r\nA: b\r\n', { fields: [], body: ' x\r\nA: b\r\n' }],
  ['blanks before the colon', 'A \t: b\r\n\r\n', { fields: [{ name: 'A', value: ' b' }], body: '' }],
  ['nothing', '', { fields: [], body: '' }],
];
for (const [what, content, expected] of CASES) {
  test(what, () => {
    for (let pieceBytes = 1; pieceBytes <= content.length + 1; pieceBytes++) {
      assert.deepEqual(split(content, pieceBytes), expected, `in pieces of ${pieceBytes}`);
    }
  });
}

test('a body line without end is not cut, however long', () => {
  const body = 'x'.repeat(200_000);
  for (const pieceBytes of [1000, 70_000, 300_000]) {
    assert.deepEqual(split(`A: b\r\n${body}`, pieceBytes), { fields: [{ name: 'A', value: ' b' }], body });
  }
});

test('a field without end is cut, in one line or in many, and what follows is found', () => {
  for (const long of [`A: ${'x'.repeat(500_000)}`, `A: b${'\r\n\tfold'.repeat(100_000)}`]) {
    for (const pieceBytes of [777, 65_536]) {
      const { fields, body } = split(`${long}\r\nB: c\r\n\r\nbody`, pieceBytes);
      assert.deepEqual(
        fields.map(({ name }) => name),
        ['A', 'B'],
      );
      assert.ok(fields[0]!.value.length <= 60_002);
      assert.equal(body, 'body');
    }
  }
});

test('any content, in any pieces', () => {
  const line = fc.constantFrom(
    'A: b',
    'Sub ject: c',
    ' fold',
    '\t',
    '',
    'no field',
    'B:',
    ':x',
    'x'.repeat(1500),
    'Long: '.padEnd(2000, 'y'),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.integer({ min: 1, max: 3000 }), (lines, pieceBytes) => {
      const content = lines.join('\r\n');
      assert.deepEqual(split(content, pieceBytes), split(content, content.length + 1));
    }),
  );
});
