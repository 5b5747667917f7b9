import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { PolicyFile } from '../../../src/gate/policy_file.ts';
import { temporaryFolder } from '../../support/folders.ts';

test('a file that is changed while its lists are read: the last written is in force', async () => {
  const folder = temporaryFolder('policy');
  const file = join(folder, 'policy.yaml');
  const slow = join(folder, 'list');
  execFileSync('mkfifo', [slow]);
  const policy = new PolicyFile(file, folder, 1, assert.fail, assert.fail);
  const inForce: number[] = [];
  const load = async (rules: number, lists: string): Promise<void> => {
    const rule = (id: number): string => `  - { id: r${id}, when: { side: outside }, do: { accept: true } }\n`;
    writeFileSync(file, `rules:\n${Array.from({ length: rules }, (_, at) => rule(at)).join('')}lists: ${lists}\n`);
    const read = await policy.read();
    assert.ok('policy' in read, JSON.stringify(read));
    inForce.push(read.policy.document.rules.filter(({ id }) => /^r\d$/.test(id)).length);
  };
  const first = load(1, `{ slow: { file: ${slow} } }`);
  const list = await open(slow, 'w'); // which waits for the reader: the file that names it has been read
  const others = [load(2, '{}'), load(3, '{}')];
  rmSync(slow);
  writeFileSync(slow, '');
  await list.close(); // its lines are counted, and it will be read anew
  await Promise.all([first, ...others]);
  assert.deepEqual(inForce, [1, 3, 3], 'whoever asks while another waits is served by the same reading');
  await policy.close();
});

test('each file and folder that the policy names is followed, of a file with a bad list as well', async () => {
  const folder = temporaryFolder('policy');
  const file = join(folder, 'policy.yaml');
  const list = join(folder, 'list');
  const known = join(folder, 'known');
  mkdirSync(known);
  writeFileSync(join(known, 'a'), 'user@example.org\n');
  writeFileSync(list, 'not one entry\n');
  writeFileSync(file, `lists: { some: { file: ${list} } }\nrecipients: { source: file, path: ${known} }\n`);
  const policy = new PolicyFile(file, folder, 1, assert.fail, assert.fail);
  assert.ok('faults' in (await policy.read()));
  const next = (): Promise<void> => new Promise((resolve) => policy.watch(resolve));
  for (const change of [
    () => writeFileSync(list, 'user@example.org\n'),
    () => writeFileSync(join(known, 'b'), 'other@example.org\n'),
    () => writeFileSync(file, `recipients: { source: file, path: ${known} }\n`),
  ]) {
    const changed = next();
    change();
    await changed;
    assert.ok('policy' in (await policy.read()));
  }
  await policy.close();
});
