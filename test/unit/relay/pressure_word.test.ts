import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deferralOf, judgePressure, QUANTITIES } from '../../../src/policy/pressure.ts';
import { PressureWord, pressureMemory } from '../../../src/relay/pressure_word.ts';

const LIMITS = { spoolFreeBytesMin: 8, spoolFreeInodesMin: 8, queueMessagesMax: 10, memoryResidentBytesMax: 10 };
const CALM = { 'spool-bytes': 100, 'spool-inodes': 100, queue: 0, memory: 0 };
const PRESSING = { 'spool-bytes': [7, 3], 'spool-inodes': [7, 3], queue: [9, 10], memory: [9, 10] } as const;

test('what one thread writes, the others read: level and cause together', () => {
  const memory = pressureMemory();
  const writer = new PressureWord(memory);
  const reader = new PressureWord(memory);
  assert.equal(reader.deferral('outside'), null, 'nothing has been written yet');
  for (const quantity of QUANTITIES) {
    for (const level of [1, 2] as const) {
      const pressure = judgePressure({ ...CALM, [quantity]: PRESSING[quantity][level - 1] }, LIMITS, null);
      assert.deepEqual([pressure.level, pressure.cause], [level, quantity]);
      writer.write(pressure);
      for (const side of ['outside', 'inside'] as const)
        assert.deepEqual(reader.deferral(side), deferralOf(side, level, quantity));
    }
  }
  writer.write(judgePressure(CALM, LIMITS, null));
  assert.equal(reader.deferral('outside'), null);
});
