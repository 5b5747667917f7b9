/** Edits of several editors as one: as if each had done its own, and where they meet the earlier one stands. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { areSound, composeEdits, EDITORS } from '../../../src/message/edits.ts';
import type { Edit } from '../../../src/message/envelope.ts';

const CONTENT = '0123456789';
const spliced = (edits: readonly Edit[], content = CONTENT): string =>
  edits.reduceRight((text, { at, drop, insert }) => text.slice(0, at) + insert + text.slice(at + drop), content);
const edit = (at: number, drop: number, insert = ''): Edit => ({ at, drop, insert });

describe('composed edits', () => {
  const table: readonly (readonly [name: string, Parameters<typeof composeEdits>[0], out: string])[] = [
    ['none', {}, CONTENT],
    ['one editor', { firewall: [edit(2, 3)] }, '0156789'],
    ['apart', { firewall: [edit(6, 1)], rewrite: [edit(2, 1, 'x')] }, '01x345789'],
    [
      'on top, in their order',
      { tags: [edit(0, 0, 'B')], trace: [edit(0, 0, 'A')], filters: [edit(0, 0, 'C')] },
      `ABC${CONTENT}`,
    ],
    ['on top of a removed field', { trace: [edit(0, 0, 'A')], firewall: [edit(0, 4)] }, 'A456789'],
    [
      'before a replaced one, though its editor comes later',
      { firewall: [edit(3, 2, 'f')], rewrite: [edit(3, 0, 'r')] },
      '012rf56789',
    ],
    ['behind a removed one', { firewall: [edit(3, 2)], filters: [edit(5, 0, 'n')] }, '012n56789'],
    ['within a removed one', { firewall: [edit(3, 3)], rewrite: [edit(4, 1, 'x'), edit(8, 1, 'y')] }, '0126' + '7y9'],
    ['removed twice', { authentication: [edit(3, 3)], firewall: [edit(3, 3)] }, '0126789'],
    ['half over the edge', { strip: [edit(3, 3, 's')], rewrite: [edit(5, 3, 'x')] }, '012s6789'],
    ['an insertion within', { filters: [edit(3, 3, 'f')], rewrite: [edit(4, 0, 'x')] }, '012f6789'],
    ['a removal round an insertion that stands', { trace: [edit(4, 0, 'x')], firewall: [edit(3, 3)] }, '0123x456789'],
    ['at the end', { tags: [edit(10, 0, 'x')], rewrite: [edit(9, 1, 'y')] }, '012345678yx'],
  ];
  for (const [name, proposals, out] of table) {
    test(name, () => {
      const edits = composeEdits(proposals);
      assert.equal(spliced(edits), out);
      assert.ok(areSound(edits, CONTENT.length));
    });
  }

  test('neighbours are one edit', () => {
    assert.deepEqual(composeEdits({ firewall: [edit(0, 3), edit(3, 2)], trace: [edit(0, 0, 'A')] }), [edit(0, 5, 'A')]);
  });

  const gaps = fc.array(fc.record({ keep: fc.nat(6), drop: fc.nat(4), insert: fc.constantFrom('', 'x', 'yz') }), {
    maxLength: 6,
  });
  const lists = fc.record(Object.fromEntries(EDITORS.map((name) => [name, gaps])), { requiredKeys: [] });
  const placed = (list: readonly { keep: number; drop: number; insert: string }[]): Edit[] => {
    let at = 0;
    return list.map(({ keep, drop, insert }) => {
      const made = { at: at + keep, drop, insert };
      at += keep + drop;
      return made;
    });
  };
  const LONG = Array.from({ length: 80 }, (_, at) => String.fromCharCode(33 + at)).join('');

  test('are sound, and the first editor has all of its own', () => {
    const property = fc.property(lists, (given) => {
      const proposals = Object.fromEntries(Object.entries(given).map(([name, list]) => [name, placed(list ?? [])]));
      const edits = composeEdits(proposals);
      assert.ok(areSound(edits, LONG.length));
      // By the book: who does not overlap what stands already may stand, too.
      const standing: (Edit & { rank: number; index: number })[] = [];
      for (const [rank, name] of EDITORS.entries()) {
        for (const [index, each] of (proposals[name] ?? []).entries()) {
          const free = standing.every(
            (other) => other.rank === rank || !(each.at < other.at + other.drop && other.at < each.at + each.drop),
          );
          if (free) standing.push({ ...each, rank, index });
        }
      }
      standing.sort(
        (a, b) => a.at - b.at || Number(a.drop > 0) - Number(b.drop > 0) || a.rank - b.rank || a.index - b.index,
      );
      assert.equal(spliced(edits, LONG), spliced(standing, LONG));
    });
    fc.assert(property, { numRuns: 2000 });
  });

  test('that do not overlap are what one after the other would give, in any order', () => {
    const property = fc.property(
      gaps,
      fc.array(fc.nat(EDITORS.length - 1), { minLength: 6, maxLength: 6 }),
      (list, owners) => {
        const all = placed(list.map((each) => ({ ...each, keep: each.keep + 1 })));
        const proposals = Object.fromEntries(
          EDITORS.map((name, rank) => [name, all.filter((_, at) => owners[at] === rank)]),
        );
        assert.equal(spliced(composeEdits(proposals), LONG), spliced(all, LONG));
      },
    );
    fc.assert(property, { numRuns: 1000 });
  });
});
