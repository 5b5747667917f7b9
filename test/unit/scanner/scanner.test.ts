import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chooseScanner } from '../../../src/scanner/index.ts';
import type { Scanner } from '../../../src/scanner/scanner.ts';
import { INSERT, STATE } from '../../../src/scanner/scanner.ts';
import { twin } from '../../../src/scanner/twin.ts';
import type { Case } from './cases.ts';
import { CASES } from './cases.ts';
import type { Mode } from './reference.ts';
import { reference } from './reference.ts';
import { bytesOf, newCuts, newState, run } from './run.ts';

const SCANNERS = [...new Set<Scanner>([twin, chooseScanner().scanner])];
const MODES: readonly Mode[] = ['data', 'bdat'];
/** Longer ones are split at every byte only. */
const PAIRS_LENGTH_MAX = 24;

const SHARP = fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.\r\n', '\r\n.', '\n.\r\n', '\0', '\xff');
const HEADER_LIKE = fc.constantFrom('Received', 'received:', 'Received:', ':', ' ', '\t', 'A: b\r\n', '\r\n\r\n');
const TEXT = fc.oneof(
  fc.string({ maxLength: 8 }).map((text) => Buffer.from(text).toString('latin1')),
  fc.constantFrom('x'.repeat(62), 'x'.repeat(63), 'x'.repeat(64), `${'x'.repeat(76)}\r\n`.repeat(3)),
);
const PIECE = fc.oneof(
  { weight: 3, arbitrary: SHARP },
  { weight: 1, arbitrary: HEADER_LIKE },
  { weight: 2, arbitrary: TEXT },
);
const WIRE = fc
  .tuple(fc.constantFrom('', 'A: b\r\n\r\n'), fc.array(PIECE, { maxLength: 40 }))
  .map(([header, pieces]) => header + pieces.join(''));
const SPLITS = fc.array(fc.nat(300), { maxLength: 6 });

/** What `wire` becomes is the same however it is split. */
function holdsSplit(scanner: Scanner, wire: string, mode: Mode): void {
  const whole = run(scanner, [bytesOf(wire)], mode);
  assert.deepEqual(run(scanner, [...wire].map(bytesOf), mode), whole, `split at every byte: ${JSON.stringify(wire)}`);
  const splits = wire.length > PAIRS_LENGTH_MAX ? [] : Array.from({ length: wire.length + 1 }, (_, at) => at);
  for (const one of splits) {
    for (const two of splits.slice(one)) {
      const chunks = [wire.slice(0, one), wire.slice(one, two), wire.slice(two)].map(bytesOf);
      assert.deepEqual(run(scanner, chunks, mode), whole, `split at ${one} and ${two}: ${JSON.stringify(wire)}`);
    }
  }
}

function expectedOf({ name: _, mode: __, wire: ___, ...expected }: Case) {
  return { rest: '', ...expected };
}

test('the reference itself is held to the table', () => {
  for (const each of CASES) assert.partialDeepStrictEqual(reference(each.wire, each.mode ?? 'data'), expectedOf(each));
});

for (const scanner of SCANNERS) {
  describe(`scanner: ${scanner.name}`, () => {
    for (const each of CASES) {
      test(each.name, () => {
        const mode = each.mode ?? 'data';
        const seen = run(scanner, [bytesOf(each.wire)], mode).said;
        assert.partialDeepStrictEqual(seen, expectedOf(each));
        for (const either of MODES) {
          assert.deepEqual(run(scanner, [bytesOf(each.wire)], either).said, reference(each.wire, either), either);
          holdsSplit(scanner, each.wire, either);
        }
      });
    }

    test('a range within a chunk: offsets of cuts count from the first byte of the chunk', () => {
      const before = 'MAIL FROM:<a@b>\r\nDATA\r\n';
      const chunk = bytesOf(`${before}..one\r\n.\r\nQUIT\r\n`);
      const state = newState();
      const cuts = newCuts();
      const end = scanner.scan(chunk, before.length, chunk.length, state, cuts);
      assert.equal(chunk.toString('latin1', end), 'QUIT\r\n');
      const dropped = (offset: number, count: number) => [offset, (count << 8) | INSERT.nothing];
      assert.deepEqual([...cuts.subarray(0, 4)], [...dropped(before.length, 1), ...dropped(before.length + 7, 3)]);
    });

    test('what was pending is inserted at `from`, not at the first byte of the chunk', () => {
      const state = newState();
      const cuts = newCuts();
      scanner.scan(bytesOf('a\r'), 0, 2, state, cuts);
      scanner.scan(bytesOf('BDAT 1\r\n\nb'), 8, 10, state, cuts);
      assert.deepEqual([...cuts.subarray(0, 2)], [8, INSERT.cr]);
    });

    test('an empty range changes nothing', () => {
      const state = newState();
      state[STATE.cuts] = 7; // of the call before
      assert.equal(scanner.scan(new Uint8Array(0), 0, 0, state, newCuts()), 0);
      assert.deepEqual(state, newState());
    });

    test('whatever comes, however it is split, it is what the reference says', () => {
      fc.assert(
        fc.property(WIRE, SPLITS, fc.constantFrom(...MODES), (wire, splits, mode) => {
          const offsets = [0, ...splits.filter((at) => at < wire.length).sort((a, b) => a - b), wire.length];
          const chunks = offsets.slice(1).map((to, at) => bytesOf(wire.slice(offsets[at], to)));
          const seen = run(scanner, chunks, mode);
          assert.deepEqual(seen.said, reference(wire, mode));
          assert.deepEqual(seen.state, run(twin, [bytesOf(wire)], mode).state);
        }),
        { numRuns: 3000 },
      );
    });
  });
}
