/** What the README promises is what the code has: options and dependencies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { optionsMarkdown } from '../../src/config/print.ts';
import { parseYaml } from '../../src/config/yaml_file.ts';
import { parsePolicy } from '../../src/policy/document.ts';
import { filesBelow, readText } from './source.ts';

const README = readText('README.md');

test("README's table of options is the one printed from the option table", () => {
  const block = /<!-- options -->\n([\s\S]*?)<!-- \/options -->/.exec(README);
  assert.notEqual(block, null, 'README.md has no <!-- options --> … <!-- /options -->');
  const rows = new Set(block?.[1]?.trim().split('\n'));
  const printed = optionsMarkdown().trim().split('\n');
  assert.deepEqual(
    printed.filter((row) => !rows.has(row)),
    [],
    'rows of the option table that README does not have',
  );
  assert.equal(rows.size, printed.length, 'README has rows that the option table does not have');
});

test('each dependency has a line in README', () => {
  const manifest = JSON.parse(readText('package.json')) as Record<string, Record<string, string>>;
  const names = ['dependencies', 'optionalDependencies', 'devDependencies'].flatMap((key) =>
    Object.keys(manifest[key] ?? {}),
  );
  const said = README.split('\n').filter((line) => line.startsWith('|') || line.startsWith('-'));
  const missing = names.filter((name) => !said.some((line) => line.includes(`\`${name}\``)));
  assert.deepEqual(missing, [], 'a line of a table or list, with the name in backticks and the reason');
});

test('links between documents lead somewhere', () => {
  const documents = filesBelow('', ['.md']).filter((path) => !path.startsWith('.'));
  const everything = new Set(filesBelow('', ['']).flatMap((path) => [path, ...parents(path)]));
  const broken = documents.flatMap((path) =>
    [...readText(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
      .map((match) => new URL(match[1] as string, `file:///${path}`).pathname.slice(1).replace(/\/$/, ''))
      .filter((target) => !everything.has(target))
      .map((target) => `${path}: ${target}`),
  );
  assert.deepEqual(broken, []);
});

const parents = (path: string): string[] => {
  const steps = path.split('/').slice(0, -1);
  return steps.map((_, index) => steps.slice(0, index + 1).join('/'));
};

test("README's policy files have no faults, nor have the rules in its text", () => {
  const files = [...README.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!);
  const rules = [...README.matchAll(/`(\{ id: [^`]+ \})`/g)].map(([, rule]) => `rules: [ ${rule} ]`);
  assert.ok(files.length > 0 && rules.length > 0);
  for (const text of [...files, ...rules]) {
    const yaml = parseYaml('README.md', text);
    assert.ok('value' in yaml, text);
    const parsed = parsePolicy(yaml.value);
    assert.ok('document' in parsed, JSON.stringify(parsed));
  }
});
