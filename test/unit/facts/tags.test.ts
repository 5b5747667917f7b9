/** Tag lists and canonical fields, which are read by hand, against the same as the grammar has it, in few words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { relaxedField } from '../../../src/facts/signed_headers.ts';
import { listOf, readTags, withoutSignature } from '../../../src/facts/tags.ts';

/** What has a meaning in any of them, and a letter or two. */
const text = fc.string({
  unit: fc.constantFrom('a', 'B', 'b', '1', '=', ';', ':', ' ', '\t', '\r\n ', '\n'),
  maxLength: 24,
});
const same = (ours: (text: string) => unknown, plain: (text: string) => unknown): void =>
  fc.assert(
    fc.property(text, (each) => assert.deepEqual(ours(each), plain(each))),
    { numRuns: 3000 },
  );

test('a tag list', () => {
  same(readTags, (each) => {
    const parts = each.split(';');
    if (parts.at(-1)!.trim() === '') parts.pop();
    const tags = parts.map((part) => /^\s*([A-Za-z]\w*)\s*=\s*(.*?)\s*$/s.exec(part));
    const names = new Set(tags.map((tag) => tag?.[1]));
    return tags.includes(null) || names.size < tags.length ? null : new Map(tags.map((tag) => [tag![1], tag![2]]));
  });
});

test('a list of names', () => {
  same(listOf, (each) => each.split(':').flatMap((entry) => entry.trim().toLowerCase() || []));
});

test('a list without its signature: of two the first', () => {
  same(withoutSignature, (each) => each.replace(/(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*/, '$1$2'));
});

test('a field, relaxed', () => {
  same(
    (each) => relaxedField('x', each),
    (each) =>
      `x:${each
        .replace(/\r?\n/g, '')
        .replace(/[ \t]+/g, ' ')
        .replace(/^ | $/g, '')}`,
  );
});
