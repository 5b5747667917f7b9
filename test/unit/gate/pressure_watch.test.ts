import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Probes } from '../../../src/gate/pressure_watch.ts';
import { PressureWatch } from '../../../src/gate/pressure_watch.ts';
import { PressureWord, pressureMemory } from '../../../src/relay/pressure_word.ts';
import type { SpoolSpace } from '../../../src/spool/space.ts';
import { readSpoolSpace } from '../../../src/spool/space.ts';
import { renderMetrics } from '../../../src/telemetry/exposition.ts';
import type { Fields } from '../../../src/telemetry/log.ts';
import { createMetricsMemory, Metrics, mainRow } from '../../../src/telemetry/metrics.ts';
import { temporary } from './support.ts';

const WATERMARKS = { spoolFreeBytesMin: 800, spoolFreeInodesMin: 0, queueMessagesMax: 100, memoryResidentBytesMax: 0 };

/** A watch over readings that a test sets; it looks when it is told to. */
function setUp(probes: Partial<Probes> = {}) {
  const world = { space: { freeBytes: 5000, freeInodes: null } as SpoolSpace, queue: 0, memory: 4096 };
  const lines: (Fields & { event: string })[] = [];
  const memory = createMetricsMemory(1);
  const word = new PressureWord(pressureMemory());
  const watch = new PressureWatch({
    limits: WATERMARKS,
    probes: {
      space: async () => world.space,
      residentBytes: () => world.memory,
      queueMessages: () => world.queue,
      ...probes,
    },
    word,
    metrics: new Metrics(memory, mainRow(memory)),
    logger: { log: (event, fields = {}) => lines.push({ event, ...fields }) },
  });
  return { world, lines, memory, word, watch };
}

test('each change of level is one line: level, reasons, readings', async () => {
  const { world, lines, watch, word } = setUp();
  await watch.look();
  assert.deepEqual(lines, [], 'no pressure, nothing to say');
  world.queue = 95;
  for (let n = 0; n < 3; n++) await watch.look();
  assert.equal(word.deferral('outside')?.connection, 'closedForQueue');
  assert.equal(word.deferral('inside'), null);
  world.space = { freeBytes: 100, freeInodes: null };
  await watch.look();
  assert.equal(word.deferral('inside')?.transaction, 'spoolShort');
  world.queue = 0;
  world.space = { freeBytes: 5000, freeInodes: null };
  await watch.look();
  assert.equal(word.deferral('outside'), null);
  const readings = (freeBytes: number, queue: number) => ({
    ...{ 'spool-bytes': freeBytes, 'spool-inodes': null },
    ...{ queue, memory: 4096 },
  });
  assert.deepEqual(lines, [
    { event: 'pressure', level: 1, before: 0, reasons: ['queue'], readings: readings(5000, 95) },
    { event: 'pressure', level: 2, before: 1, reasons: ['spool-bytes', 'queue'], readings: readings(100, 95) },
    { event: 'pressure', level: 0, before: 2, reasons: [], readings: readings(5000, 0) },
  ]);
});

test('a reading that fails is said once, presses nobody, and leaves the others as they are', async () => {
  let failing = true;
  const space = async () => {
    if (failing) throw Object.assign(new Error('no such disk'), { code: 'EIO' });
    return { freeBytes: 100, freeInodes: null };
  };
  const { world, lines, watch } = setUp({ space });
  world.queue = 95;
  await watch.look();
  await watch.look();
  assert.deepEqual(watch.report().reasons, ['queue']);
  assert.deepEqual(
    lines.map(({ event, probe, detail }) => [event, probe, detail]),
    [
      ['pressure-unknown', 'space', 'EIO'],
      ['pressure', undefined, undefined],
    ],
  );
  failing = false;
  await watch.look();
  assert.deepEqual(watch.report().reasons, ['spool-bytes', 'queue']);
  failing = true;
  await watch.look();
  assert.deepEqual(watch.report().quantities[0], { quantity: 'spool-bytes', value: null, level: 0, marks: [800, 400] });
  assert.equal(lines.filter(({ event }) => event === 'pressure-unknown').length, 2, 'it had worked in between');
});

test('a disk that does not answer is asked once and holds up nothing; its last answer stands for a while', async () => {
  let asked = 0;
  const answers: ((space: SpoolSpace) => void)[] = [];
  const space = () => {
    asked++;
    return new Promise<SpoolSpace>((resolve) => answers.push(resolve));
  };
  const { world, lines, watch } = setUp({ space });
  const first = watch.look(0);
  answers[0]!({ freeBytes: 700, freeInodes: null });
  await first;
  const second = watch.look(1000);
  world.queue = 100;
  await watch.look(1000 + LIMITS.pressureReadingMsMax);
  assert.deepEqual([watch.report().level, watch.report().reasons], [2, ['queue', 'spool-bytes']]);
  for (const lateMs of [1, 1000]) await watch.look(1000 + LIMITS.pressureReadingMsMax + lateMs);
  assert.deepEqual(watch.report().reasons, ['queue'], 'after a while it is unknown');
  assert.equal(lines.filter(({ event }) => event === 'pressure-unknown').length, 1);
  assert.equal(asked, 2);
  answers[1]!({ freeBytes: 300, freeInodes: null });
  await second;
  assert.deepEqual(watch.report().reasons, ['spool-bytes', 'queue']);
});

test('the metrics show level, quantities and readings; what is unknown is NaN', async () => {
  const { world, watch, memory } = setUp();
  world.queue = 95;
  await watch.look();
  const page = await renderMetrics(memory);
  assert.match(page, /^postern_pressure_level 1$/m);
  assert.match(page, /^postern_pressure_quantity_level\{quantity="queue"\} 1$/m);
  assert.match(page, /^postern_pressure_quantity_level\{quantity="memory"\} 0$/m);
  assert.match(page, /^postern_spool_free_bytes 5000$/m);
  assert.match(page, /^postern_spool_free_inodes NaN$/im);
  assert.match(page, /^process_unreclaimable_memory_bytes 4096$/m);
});

test('before the first look there is no level and no quantity', () => {
  assert.deepEqual(setUp().watch.report(), { level: 0, reasons: [], quantities: [] });
});

test('the space of a real folder is read; of one that is not there it is not', async () => {
  const { freeBytes, freeInodes } = await readSpoolSpace(temporary());
  assert.ok(Number.isSafeInteger(freeBytes) && freeBytes >= 0);
  assert.ok(freeInodes === null || freeInodes >= 0);
  await assert.rejects(readSpoolSpace('/nowhere/at/all'), { code: 'ENOENT' });
});
