import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { PolicyFile } from '../../../src/gate/policy_file.ts';
import { temporaryFolder } from '../../support/folders.ts';

test('a file that is changed while its lists are read: the last written is in force', async () => {
  const folder = temporaryFolder('policy');
  const file = join(folder, 'policy.yaml');
  const list = join(folder, 'list');
  writeFileSync(list, Array.from({ length: 50_000 }, (_, at) => `user${at}@example.org\n`).join(''));
  const policy = new PolicyFile(file, folder, 1, assert.fail, assert.fail);
  const inForce: number[] = [];
  const load = async (rules: number, lists: string): Promise<void> => {
    const rule = (id: number): string => `  - { id: r${id}, when: { side: outside }, do: { accept: true } }\n`;
    writeFileSync(file, `rules:\n${Array.from({ length: rules }, (_, at) => rule(at)).join('')}lists: ${lists}\n`);
    const read = await policy.read();
    assert.ok('policy' in read, JSON.stringify(read));
    inForce.push(read.policy.document.rules.filter(({ id }) => /^r\d$/.test(id)).length);
  };
  const first = load(1, `{ long: { file: ${list} } }`);
  await turn();
  const second = load(2, '{}');
  const third = load(3, '{}');
  await Promise.all([first, second, third]);
  assert.deepEqual(inForce, [1, 3, 3], 'whoever asks while another waits is served by the same reading');
  await policy.close();
});
