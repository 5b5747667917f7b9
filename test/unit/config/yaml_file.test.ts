import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeFaults, parseYaml, readYaml } from '../../../src/config/yaml_file.ts';
import { temporaryFolder } from '../../support/folders.ts';

const TEXT = [
  'rules:',
  '  - id: one',
  '    when: {}',
  '  - id: two',
  '    when:',
  '      side: 3',
  'other: x',
  '',
].join('\n');

test('a fault is told with file, line and place', () => {
  const yaml = parseYaml('policy.yaml', TEXT);
  assert.ok('value' in yaml);
  assert.deepEqual(
    describeFaults('policy.yaml', yaml, [
      { path: ['rules', 1, 'when', 'side'], message: 'no' },
      { path: ['rules', 0, 'do'], message: 'missing' },
      { path: [], message: 'all of it' },
    ]),
    ['policy.yaml:6: rules.1.when.side: no', 'policy.yaml:2: rules.0.do: missing', 'policy.yaml:1: all of it'],
  );
});

test('what is no YAML is told with its line', () => {
  const yaml = parseYaml('p', 'a: 1\nb: [1, 2\nc: }\n');
  assert.ok('faults' in yaml);
  assert.match(yaml.faults[0]!, /^p:[23]: /);
  const twice = parseYaml('p', 'a: 1\na: 2\n');
  assert.ok('faults' in twice && /unique/.test(twice.faults[0]!));
});

test('a password that YAML takes for something else is not repeated', () => {
  for (const written of [
    '*Sesame42',
    '>Sesame42',
    '|Sesame42',
    '!Sesame42!x y',
    '"a" Sesame42',
    '@Sesame42',
    '[Sesame42',
  ]) {
    const yaml = parseYaml('p', `filters:\n  - { name: spam }\n  - name: virus\n    password: ${written}\n`);
    assert.ok('faults' in yaml, written);
    for (const fault of yaml.faults) assert.doesNotMatch(fault, /Sesame/);
  }
});

test('aliases that multiply are refused', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let n = 1; n < 9; n++)
    lines.push(`a${n}: &a${n} [${Array.from({ length: 10 }, () => `*a${n - 1}`).join(', ')}]`);
  const yaml = parseYaml('p', lines.join('\n'));
  assert.ok('faults' in yaml);
});

test('a file that is not there, too large, or no file', () => {
  const folder = temporaryFolder('yaml');
  const read = (path: string) => {
    const yaml = readYaml(path);
    return 'faults' in yaml ? yaml.faults[0]! : '';
  };
  assert.match(read(join(folder, 'none.yaml')), /cannot be read \(ENOENT\)$/);
  assert.match(read(folder), /cannot be read \(not a file\)$/);
  writeFileSync(join(folder, 'large.yaml'), Buffer.alloc((4 << 20) + 1, 32));
  assert.match(read(join(folder, 'large.yaml')), /more than 4194304 bytes/);
});
