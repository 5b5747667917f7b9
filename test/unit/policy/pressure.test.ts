import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Level, Pressure, PressureLimits, Quantity, Readings } from '../../../src/policy/pressure.ts';
import { deferralOf, judgePressure, QUANTITIES, reasonsOf } from '../../../src/policy/pressure.ts';
import { REPLIES } from '../../../src/smtp/replies.ts';

const LIMITS: PressureLimits = {
  spoolFreeBytesMin: 800,
  spoolFreeInodesMin: 80,
  queueMessagesMax: 100,
  memoryResidentBytesMax: 1000,
};
const CALM: Readings = { 'spool-bytes': 10_000, 'spool-inodes': 10_000, queue: 0, memory: 0 };

/** Levels of the whole as one quantity takes these values in turn. */
function levels(quantity: Quantity, values: readonly (number | null)[], limits = LIMITS): readonly Level[] {
  let pressure: Pressure | null = null;
  return values.map((value) => {
    pressure = judgePressure({ ...CALM, [quantity]: value }, limits, pressure);
    return pressure.level;
  });
}

const STORIES: readonly [name: string, quantity: Quantity, values: readonly (number | null)[], is: readonly Level[]][] =
  [
    ['a disk fills and empties', 'spool-bytes', [800, 799, 400, 399, 499, 500, 899, 900], [0, 1, 1, 2, 2, 1, 1, 0]],
    ['inodes run out at once, and are there again at once', 'spool-inodes', [80, 0, 10_000], [0, 2, 0]],
    ['a queue grows and drains', 'queue', [0, 89, 90, 99, 100, 90, 89, 80, 79, 0], [0, 0, 1, 1, 2, 2, 1, 1, 0, 0]],
    ['memory rises and falls', 'memory', [899, 900, 1000, 900, 899, 800, 799], [0, 1, 2, 2, 1, 1, 0]],
    ['within the upper band of a queue nothing flaps', 'queue', [100, 95, 100, 91, 99], [2, 2, 2, 2, 2]],
    ['within the lower one, neither: coming up', 'queue', [89, 81, 89, 80, 88], [0, 0, 0, 0, 0]],
    ['nor coming down', 'queue', [90, 81, 89, 80, 88], [1, 1, 1, 1, 1]],
    ['what is unknown presses nobody, and comes back from nothing', 'queue', [100, null, 85, 90], [2, 0, 0, 1]],
  ];

describe('levels', () => {
  for (const [name, quantity, values, is] of STORIES) test(name, () => assert.deepEqual(levels(quantity, values), is));

  test('a limit of zero is none, and the reading is still shown', () => {
    const off = { spoolFreeBytesMin: 0, spoolFreeInodesMin: 0, queueMessagesMax: 0, memoryResidentBytesMax: 0 };
    const readings = { 'spool-bytes': 0, 'spool-inodes': 0, queue: 1e9, memory: 1e15 };
    const { level, cause, quantities } = judgePressure(readings, off, null);
    assert.deepEqual([level, cause], [0, null]);
    assert.deepEqual(quantities.queue, { value: 1e9, level: 0, marks: null });
  });

  test('the smallest limits still have both levels', () => {
    assert.deepEqual(levels('queue', [0, 1, 0], { ...LIMITS, queueMessagesMax: 1 }), [0, 2, 0]);
    assert.deepEqual(
      levels('spool-bytes', [2, 1, 0, 1, 2, 3], { ...LIMITS, spoolFreeBytesMin: 2 }),
      [0, 1, 2, 2, 1, 0],
    );
  });

  test('the worst quantity is the level and the cause; all that are beyond a mark are reasons', () => {
    const readings = { ...CALM, 'spool-bytes': 700, queue: 100, memory: 950 };
    const pressure = judgePressure(readings, LIMITS, null);
    assert.deepEqual([pressure.level, pressure.cause], [2, 'queue']);
    assert.deepEqual(reasonsOf(pressure), ['queue', 'spool-bytes', 'memory']);
    assert.deepEqual(pressure.quantities.queue, { value: 100, level: 2, marks: [90, 100] });
  });

  test('property: a level changes only to one that a fresh look would justify, and never within a band', () => {
    const quantity = fc.constantFrom(...QUANTITIES);
    fc.assert(
      fc.property(quantity, fc.array(fc.nat({ max: 1200 }), { minLength: 2 }), (which, values) => {
        const fresh = (value: number) => levels(which, [value])[0]!;
        levels(which, values).forEach((level, at, all) => {
          assert.ok(level >= fresh(values[at]!), 'no mark is overlooked');
          const before = at === 0 ? 0 : all[at - 1]!;
          if (level > before) assert.equal(level, fresh(values[at]!), 'up: by a mark that was passed');
        });
      }),
    );
  });
});

describe('who is deferred', () => {
  test('outside from level 1 on, inside from level 2 on', () => {
    const deferred = ([0, 1, 2] as const).map((level) => {
      const cause = level === 0 ? null : 'queue';
      return [deferralOf('outside', level, cause) !== null, deferralOf('inside', level, cause) !== null];
    });
    assert.deepEqual(deferred, [
      [false, false],
      [true, false],
      [true, true],
    ]);
  });

  test('421 at the door, 452 in a session; 4.3.1 for storage, 4.3.2 for the rest', () => {
    for (const quantity of QUANTITIES) {
      const { connection, transaction } = deferralOf('outside', 1, quantity)!;
      const enhanced = quantity.startsWith('spool') ? '4.3.1' : '4.3.2';
      assert.deepEqual(REPLIES[connection].slice(0, 2), [421, enhanced], quantity);
      assert.deepEqual(REPLIES[transaction].slice(0, 2), [452, enhanced], quantity);
    }
  });
});
