import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { greylistCondition, greylistSection } from '../../../src/config/policy/greylist.ts';
import { Greylist, greylistMemory, greylistSource } from '../../../src/facts/greylist.ts';
import { keepGreylist } from '../../../src/facts/greylist_file.ts';
import { parseCondition } from '../../../src/policy/condition.ts';
import type { Disk } from '../../../src/spool/disk.ts';
import { systemDisk } from '../../../src/spool/disk.ts';
import { temporaryFolder } from '../../support/folders.ts';
import { subject } from './subject.ts';

const FOLDER = temporaryFolder('greylist');
const DAY_MS = 86_400_000;
const SEEN = { address: '192.0.2.1', sender: 'a@example.org', recipient: 'b@example.net' };
const ENTRIES = 4096;

const settings = (about: object = {}) => greylistSection.parse({ entriesMax: ENTRIES, ...about })!;

function clocked(about: object = {}, memory = greylistMemory(ENTRIES, new Uint8Array(8).fill(7))) {
  const clock = { ms: Date.UTC(2026, 10, 24) };
  return { memory, clock, list: new Greylist(memory, settings(about), () => clock.ms) };
}

test('who is new waits, whoever comes again in time passes, and need not wait again', () => {
  const { list, clock, memory } = clocked();
  assert.ok(list.waits(SEEN));
  clock.ms += 299_000;
  assert.ok(list.waits(SEEN), 'too early');
  clock.ms += 1_000;
  const other = new Greylist(memory, settings(), () => clock.ms);
  assert.ok(!other.waits(SEEN), 'another shard, the same list');
  assert.ok(!list.waits({ ...SEEN, address: '192.0.2.200', sender: 'A@example.org' }), 'the same network');
  assert.ok(list.waits({ ...SEEN, address: '192.0.3.1' }));
  assert.ok(list.waits({ ...SEEN, sender: '' }));
  assert.ok(list.waits({ ...SEEN, recipient: 'c@example.net' }));
  for (let month = 0; month < 3; month++) {
    clock.ms += 31 * DAY_MS;
    assert.ok(!list.waits(SEEN), 'each message keeps it');
  }
  clock.ms += 37 * DAY_MS;
  assert.ok(list.waits(SEEN), 'forgotten');
});

test('who comes much too late waits anew', () => {
  const { list, clock } = clocked();
  assert.ok(list.waits(SEEN));
  clock.ms += 3 * DAY_MS;
  assert.ok(list.waits(SEEN));
  clock.ms += 300_000;
  assert.ok(!list.waits(SEEN));
});

test('a network that has waited well a few times is known', () => {
  const { list, clock } = clocked({ knownAfter: 2 });
  const from = (sender: string) => list.waits({ ...SEEN, sender });
  assert.ok(from('1') && from('2') && from('3'));
  clock.ms += 300_000;
  assert.ok(!from('1') && from('4'));
  assert.ok(!from('2') && !from('5'), 'known by its second pass');
  assert.ok(list.waits({ ...SEEN, address: '198.51.100.1' }));
});

test('clients of a /64 are one', () => {
  const { list, clock } = clocked();
  assert.ok(list.waits({ ...SEEN, address: '2001:db8::1' }));
  clock.ms += 300_000;
  assert.ok(!list.waits({ ...SEEN, address: '2001:db8::ffff:1' }));
  assert.ok(list.waits({ ...SEEN, address: '2001:db8:0:1::1' }));
});

test('a clock that was far ahead locks nobody out', () => {
  const { list, clock } = clocked();
  clock.ms += 1000 * DAY_MS;
  assert.ok(list.waits(SEEN));
  clock.ms -= 1000 * DAY_MS;
  assert.ok(list.waits(SEEN));
  clock.ms += 300_000;
  assert.ok(!list.waits(SEEN));
});

test('a flood of strangers costs nobody his place who has waited', () => {
  const { list, clock } = clocked({ knownAfter: 0 });
  assert.ok(list.waits(SEEN));
  clock.ms += 300_000;
  assert.ok(!list.waits(SEEN));
  for (let at = 0; at < 5 * ENTRIES; at++) assert.ok(list.waits({ ...SEEN, sender: `${at}@spam.example` }));
  assert.ok(!list.waits(SEEN));
});

test('the source says so for outside clients only', () => {
  const { list } = clocked();
  const source = greylistSource(list);
  const recipient = { local: 'b', domain: 'example.net' };
  const ask = (about: object) => source.ask(subject({ recipient, ...about }), new AbortController().signal);
  assert.deepEqual(ask({}), { facts: { 'grey.waiting': true } });
  assert.deepEqual(ask({ side: 'inside' }), { facts: {} });
});

test('the rule that it makes is one that rules can be made of', () => {
  const faults: never[] = [];
  for (const about of [{}, { welcome: 0 }, { spfDomains: 'big-senders' }])
    parseCondition(greylistCondition(settings(about)), [], faults);
  assert.deepEqual(faults, []);
});

const none = (line: string): void => assert.fail(line);

test('it outlives a restart, with what was written since its last whole copy', async () => {
  const path = join(FOLDER, 'kept');
  const first = await keepGreylist(systemDisk, path, ENTRIES, none);
  const { list, clock } = clocked({}, first.memory);
  assert.ok(list.waits(SEEN));
  await first.write();
  assert.ok(list.waits({ ...SEEN, sender: 'second@example.org' }));
  await first.close();
  const second = await keepGreylist(systemDisk, path, ENTRIES, none);
  const again = clocked({}, second.memory);
  again.clock.ms = clock.ms + 300_000;
  assert.ok(!again.list.waits(SEEN));
  assert.ok(!again.list.waits({ ...SEEN, sender: 'second@example.org' }));
  await second.close();
});

test('a torn end, a damaged row and another size are no fault', async () => {
  const path = join(FOLDER, 'damaged');
  const first = await keepGreylist(systemDisk, path, ENTRIES, none);
  const { list, clock } = clocked({}, first.memory);
  assert.ok(list.waits(SEEN));
  await first.write();
  assert.ok(list.waits({ ...SEEN, sender: 'torn@example.org' }));
  await first.close();
  const whole = readFileSync(path);
  truncateSync(path, whole.length - 1);
  const torn = await keepGreylist(systemDisk, path, ENTRIES, none);
  const again = clocked({}, torn.memory);
  again.clock.ms = clock.ms + 300_000;
  assert.ok(!again.list.waits(SEEN), 'what stood before the torn record is there');
  assert.ok(again.list.waits({ ...SEEN, sender: 'torn@example.org' }));
  await torn.close();
  for (const at of [0, 9, 20, 35, 60]) {
    const damaged = Buffer.from(whole);
    damaged[at] = damaged[at]! ^ 0x40;
    writeFileSync(path, damaged);
    const kept = await keepGreylist(systemDisk, path, ENTRIES, none);
    assert.ok(clocked({}, kept.memory).list.waits(SEEN), `${at}`);
    await kept.close();
  }
  writeFileSync(path, whole);
  await (await keepGreylist(systemDisk, path, 4 * ENTRIES, none)).close();
});

test('a disk that fails is told of, and when it works again all is written', async () => {
  const path = join(FOLDER, 'failing');
  let broken = true;
  const disk: Disk = {
    ...systemDisk,
    open: (name, mode) =>
      broken && mode === 'create'
        ? Promise.reject(Object.assign(new Error(), { code: 'ENOSPC' }))
        : systemDisk.open(name, mode),
  };
  const said: string[] = [];
  const kept = await keepGreylist(disk, path, ENTRIES, (line) => said.push(line));
  const { list, clock } = clocked({}, kept.memory);
  assert.ok(list.waits(SEEN));
  await kept.write();
  assert.deepEqual(said, ['the greylist cannot be written (ENOSPC)']);
  broken = false;
  assert.ok(list.waits({ ...SEEN, sender: 'later@example.org' }));
  await kept.close();
  const second = await keepGreylist(disk, path, ENTRIES, none);
  const again = clocked({}, second.memory);
  again.clock.ms = clock.ms + 300_000;
  assert.ok(!again.list.waits(SEEN));
  await second.close();
});

test('a file that has grown is written anew, and stays small', async () => {
  const path = join(FOLDER, 'grown');
  const kept = await keepGreylist(systemDisk, path, ENTRIES, none);
  const { list } = clocked({ knownAfter: 0 }, kept.memory);
  for (let round = 0; round < 60; round++) {
    for (let at = 0; at < 2000; at++) list.waits({ ...SEEN, sender: `${round}.${at}` });
    await kept.write();
  }
  await kept.close();
  assert.ok(readFileSync(path).length < 1_300_000, `${readFileSync(path).length} bytes`);
});
