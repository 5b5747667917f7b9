/** Edits: what comes out of the stream is what a plain splice of the whole would give. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AssertionFailure } from '../../../src/base/assert.ts';
import { areSound, Editor, editedBytes } from '../../../src/message/edits.ts';
import type { Edit } from '../../../src/message/envelope.ts';

function streamed(content: Buffer, edits: readonly Edit[], cuts: readonly number[]): Buffer {
  const editor = new Editor(edits, content.length);
  const out: Uint8Array[] = [];
  let from = 0;
  for (const to of [...cuts, content.length]) {
    out.push(...editor.apply(content.subarray(from, to)));
    from = to;
  }
  out.push(...editor.end());
  return Buffer.concat(out);
}

/** All at once, from the last edit to the first. */
function spliced(content: Buffer, edits: readonly Edit[]): Buffer {
  let whole = content;
  for (const { at, drop, insert } of edits.toReversed()) {
    whole = Buffer.concat([whole.subarray(0, at), Buffer.from(insert), whole.subarray(at + drop)]);
  }
  return whole;
}

describe('edited content', () => {
  const table: readonly (readonly [name: string, edits: readonly Edit[], out: string])[] = [
    ['without edits', [], '0123456789'],
    ['a field on top', [{ at: 0, drop: 0, insert: 'A: b\r\n' }], 'A: b\r\n0123456789'],
    [
      'two on top, in order',
      [
        { at: 0, drop: 0, insert: 'A' },
        { at: 0, drop: 0, insert: 'B' },
      ],
      'AB0123456789',
    ],
    ['in the middle', [{ at: 5, drop: 0, insert: '-' }], '01234-56789'],
    ['at the end', [{ at: 10, drop: 0, insert: '-' }], '0123456789-'],
    ['dropped', [{ at: 2, drop: 3, insert: '' }], '0156789'],
    ['replaced', [{ at: 2, drop: 3, insert: 'é' }], '01é56789'],
    [
      'one right after the other',
      [
        { at: 2, drop: 2, insert: 'a' },
        { at: 4, drop: 2, insert: 'b' },
      ],
      '01ab6789',
    ],
    ['the last byte', [{ at: 9, drop: 1, insert: '' }], '012345678'],
    [
      'everything',
      [
        { at: 0, drop: 10, insert: 'x' },
        { at: 10, drop: 0, insert: 'y' },
      ],
      'xy',
    ],
  ];
  for (const [name, edits, out] of table) {
    test(`${name}, whole and split at every byte`, () => {
      const content = Buffer.from('0123456789');
      assert.equal(spliced(content, edits).toString(), out);
      assert.equal(editedBytes(10, edits), Buffer.byteLength(out));
      assert.equal(streamed(content, edits, []).toString(), out);
      assert.equal(streamed(content, edits, [1, 2, 3, 4, 5, 6, 7, 8, 9]).toString(), out);
      for (let at = 0; at <= 10; at++) assert.equal(streamed(content, edits, [at, at]).toString(), out);
    });
  }

  test('of any kind, in any pieces', () => {
    const gap = fc.record({ keep: fc.nat(4), drop: fc.nat(4), insert: fc.constantFrom('', 'x', 'line\r\n', 'é€') });
    const property = fc.property(
      fc.array(gap, { maxLength: 6 }),
      fc.nat(5),
      fc.array(fc.nat(60)),
      (gaps, rest, cuts) => {
        const edits: Edit[] = [];
        let at = 0;
        for (const { keep, drop, insert } of gaps) {
          edits.push({ at: at + keep, drop, insert });
          at += keep + drop;
        }
        const content = Buffer.from(Array.from({ length: at + rest }, (_, byte) => 97 + (byte % 26)));
        const sorted = cuts.filter((cut) => cut <= content.length).sort((a, b) => a - b);
        const expected = spliced(content, edits);
        assert.deepEqual(streamed(content, edits, sorted), expected);
        assert.equal(editedBytes(content.length, edits), expected.length);
        assert.equal(areSound(edits, content.length), true);
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  test('is views of the chunk wherever nothing changes', () => {
    const chunk = Buffer.from('0123456789');
    const editor = new Editor([{ at: 0, drop: 0, insert: 'top' }], 20);
    const [top, view] = editor.apply(chunk);
    assert.equal(Buffer.from(top!).toString(), 'top');
    assert.equal(view, chunk);
    assert.deepEqual(editor.apply(chunk), [chunk]);
    assert.deepEqual(editor.end(), []);
  });
});

describe('edits that are not sound are refused', () => {
  const table: readonly (readonly [name: string, edits: readonly Edit[]])[] = [
    [
      'out of order',
      [
        { at: 5, drop: 0, insert: '' },
        { at: 4, drop: 0, insert: '' },
      ],
    ],
    [
      'overlapping',
      [
        { at: 2, drop: 3, insert: '' },
        { at: 4, drop: 1, insert: '' },
      ],
    ],
    ['behind the end', [{ at: 11, drop: 0, insert: '' }]],
    ['dropping behind the end', [{ at: 8, drop: 3, insert: '' }]],
    ['negative place', [{ at: -1, drop: 0, insert: '' }]],
    ['negative drop', [{ at: 5, drop: -1, insert: '' }]],
    ['no numbers', [{ at: Number.NaN, drop: 0, insert: '' }]],
    ['fractions', [{ at: 0.5, drop: 0, insert: '' }]],
    ['no text', [{ at: 0, drop: 0, insert: undefined as unknown as string }]],
  ];
  for (const [name, edits] of table) {
    test(name, () => {
      assert.equal(areSound(edits, 10), false);
      assert.throws(() => new Editor(edits, 10), AssertionFailure);
    });
  }
});

test('content that is cut short never passes for whole', () => {
  const editor = new Editor([], 10);
  editor.apply(Buffer.from('012345678'));
  assert.throws(() => editor.end(), AssertionFailure);
});
