/** The rules of the house, held against every file (rules.test.ts shows that each of them bites). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RFCS } from '../../src/smtp/rfcs.ts';
import { LAYERS } from './layers.ts';
import * as rules from './rules.ts';
import type { Source } from './source.ts';
import { ALL, filesBelow, readText, SRC } from './source.ts';

const none = (faults: readonly string[]): void => assert.deepEqual(faults, [], `\n${faults.join('\n')}\n`);
const holds = (rule: (source: Source) => string[], sources: readonly Source[]): void => none(sources.flatMap(rule));

/** Tables that nothing needs while it runs. */
const READ_BY_TESTS: readonly string[] = ['src/smtp/rfcs.ts'];

test('a file imports its own folder and lower layers only', () => holds(rules.layers, SRC));

test('src/README.md shows the layers as they are', () => {
  const readme = readText('src/README.md');
  const shown = [...readme.matchAll(/^\| (\d) \| `([\w.]+)\/?` \|/gm)].map(([, layer, folder]) => [
    folder,
    Number(layer),
  ]);
  assert.deepEqual(Object.fromEntries(shown), LAYERS);
});

test('each ambient power is in its home only', () => holds(rules.powers, SRC));

test('who only reads files takes nothing from node:fs that writes', () => holds(rules.readers, SRC));

test('protocol, message and policy are pure', () => holds(rules.purity, SRC));

test('reply texts stand in src/smtp/replies.ts only', () => holds(rules.replyText, SRC));

test('file names are snake_case and say something', () => holds(rules.fileName, ALL));

test('files, functions and lines are of a size to be read, or say why not', () => holds(rules.sizes, ALL));

test('each source opens with what it is for', () => holds(rules.contract, [...SRC, ...ALL.filter(isSupport)]));

test('nothing is left over', () => holds(rules.leftovers, ALL));

test('a cited RFC is in the table of those that we follow', () => {
  const listed = new Set(Object.keys(RFCS).map(Number));
  none(SRC.flatMap((source) => rules.citations(source, listed)));
});

test('an RFC in the table is one that somebody cites, or that we say no to', () => {
  const text = ALL.filter(({ path }) => path !== 'src/smtp/rfcs.ts')
    .map((source) => source.text)
    .join('\n');
  const followed = Object.entries(RFCS).filter(([, [support]]) => support !== 'no');
  none(followed.map(([number]) => `RFC ${number}`).filter((name) => !new RegExp(`\\b${name}\\b`).test(text)));
});

test('every source is reached from main', () => {
  const live = rules.reached(SRC, ['src/main.ts', 'src/postern.ts', ...READ_BY_TESTS]);
  none(SRC.map(({ path }) => path).filter((path) => !live.has(path)));
});

test('every other file is reached from a script or a test', () => {
  const scripts = readText('package.json').match(/[\w/]+\.(?:ts|mjs)/g) ?? [];
  const tests = ALL.map(({ path }) => path).filter((path) => path.endsWith('.test.ts'));
  const live = rules.reached(ALL, [...scripts, ...tests]);
  none(ALL.map(({ path }) => path).filter((path) => !live.has(path)));
});

test('what a source exports is used elsewhere', () => none(rules.unusedExports(SRC, ALL)));

test('the top level holds what it should, and no more', () => {
  const known =
    /^(?:package\.json|package-lock\.json|tsconfig\.json|biome\.json|README\.md|(?:src|native|bench|test)\/|\.)/;
  none(filesBelow('', ['']).filter((path) => !known.test(path)));
});

function isSupport({ path }: Source): boolean {
  return !path.endsWith('.test.ts');
}
