/** A result as a document, as a page, and before the guard. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse } from '../../../bench/arguments.ts';
import type { Outcome, Ratio } from '../../../bench/bench.ts';
import { verdicts } from '../../../bench/guard.ts';
import { type Turn, Turns } from '../../../bench/measure/turns.ts';
import { BENCH, roundsOf } from '../../../bench/options.ts';
import { pageOf } from '../../../bench/page.ts';
import { keep, latestKept, parseResult, type Result, resultText, scenarioResult } from '../../../bench/result.ts';
import { BOUNDS, type Bound } from '../../../bench/results/bounds.ts';
import { temporaryFolder } from '../../support/folders.ts';

const HOSTILE = `</td><script>alert("1")</script>&'\u0000\ud800`;

const ratio = (name: string, median: number, better: Ratio['better'] = 'more'): Ratio => ({
  name,
  better,
  median,
  least: median * 0.9,
  most: median * 1.1,
});

const asked = (name: string) => ({
  name,
  question: `how fast is ${HOSTILE}?`,
  load: 'some',
  bound: 'CPU',
  checks: 'all of it',
  run: () => Promise.reject(new Error('not here')),
});

const outcome: Outcome = {
  headlines: ['twice as fast'],
  ratios: [ratio('rate / direct', 0.4375), ratio('rate / nothing', Number.NaN)],
  charts: [
    { title: 'rate', unit: 'messages/s', bars: [{ name: `relay ${HOSTILE}`, median: 4711, least: 4000, most: 5000 }] },
  ],
  relays: [{ name: 'postfix', version: '3.7.11', durability: 'fsync of a file' }],
  tables: [{ title: 'rates', columns: ['', 'messages/s'], rows: [['postern', '4,711 (4,000-5,000)']] }],
  failures: [],
  figures: {
    turns: [
      { round: 1, way: 'one', phases: { end: { p99Us: 123_457 } } },
      { round: 2, way: HOSTILE, twice: true, lost: null },
    ],
    rest: { peak: 987_654_321, tenths: [0.125, 0.25] },
  },
};

const resultOf = (scenarios: Result['scenarios'], date = '2026-11-25T01:02:03.456Z'): Result => ({
  date,
  machine: '2 x Some CPU',
  loadBefore: 0.5,
  memory: '4 GiB',
  system: 'Linux 6',
  node: 'v26',
  commit: 'abc1234',
  command: 'npm run bench',
  rounds: 3,
  scenarios,
});
const result = resultOf([scenarioResult(asked('relay-small'), outcome)]);

describe('what turns came to', () => {
  const turn = (round: number, target: string, perSecond: number): Turn =>
    ({ round, target, way: 'one', perSecond, cpuMsPerMessage: 2, phases: { end: { p99Us: 3000 } } }) as unknown as Turn;
  // Each round in another order.
  const turns = new Turns([turn(1, 'a', 10), turn(1, 'b', 20), turn(2, 'b', 100), turn(2, 'a', 80)]);

  it('is compared within rounds', () => {
    const { name, better, median, least, most } = turns.rateRatio('one', 'a', 'b');
    assert.deepEqual([name, better, median, least, most], ['one: rate, a / b', 'more', 0.65, 0.5, 0.8]);
  });

  it('is drawn, CPU time only of those that have it', () => {
    const way = { name: 'one', phase: 'end', load: {}, messages: 1 } as const;
    const target = (name: string, pid: number, more = {}) => ({ name, pid, port: 1, ...more });
    const targets = [target('direct', 0), target('a', 1), target('b', 2, { cpuUnknown: 'nobody counts it' })];
    const drawn = turns.charts(way, targets).map(({ title, bars }) => [title, ...bars.map(({ name }) => name)]);
    assert.deepEqual(drawn, [
      ['one: rate', 'direct', 'a', 'b'],
      ['one: CPU', 'a'],
      ['one: end of data to 250, p99', 'direct', 'a', 'b'],
    ]);
  });
});

describe('a result', () => {
  it('is read back as it was written', () => assert.deepEqual(parseResult(resultText(result), 'it'), result));

  it('has no number where there is none', () => assert.equal(result.scenarios[0]?.ratios[1]?.median, null));

  it('is refused where it is something else, with the place', () => {
    assert.throws(() => parseResult('{', 'it'), /it: not JSON/);
    assert.throws(() => parseResult(JSON.stringify({ ...result, rounds: 'three' }), 'it'), /it: .*rounds/);
    assert.throws(() => parseResult(JSON.stringify({ ...result, more: 1 }), 'it'), /more/);
  });

  it('is found again by scenario and machine, the latest first', () => {
    const folder = join(temporaryFolder('kept'), 'results');
    assert.equal(latestKept(folder, result.machine, 'relay-small'), undefined);
    const later = resultOf([{ ...result.scenarios[0]!, headlines: ['later'] }], '2026-11-26T00:00:00.000Z');
    for (const one of [later, result, { ...later, machine: 'another', date: '2027-01-01T00:00:00.000Z' }])
      keep(one, folder);
    assert.deepEqual(latestKept(folder, result.machine, 'relay-small')?.headlines, ['later']);
    assert.equal(latestKept(folder, result.machine, 'commit'), undefined);
  });
});

describe('the page', () => {
  const page = pageOf(result);

  it('holds every figure, every name and every circumstance', () => {
    const { scenarios, ...facts } = result;
    for (const text of [...Object.values(facts), ...leavesOf(scenarios)].map(shown))
      assert.ok(page.includes(text), `the page lacks ${text}`);
  });

  it('needs nothing else, and runs nothing', () => {
    assert.doesNotMatch(page, /https?:|\burl\(|@import|<script|<link|<img|<iframe|\bon\w+=|\b(?:src|href)=/);
  });

  it('is well-formed, whatever names are', () => {
    assert.deepEqual(unbalanced(page), []);
    assert.doesNotMatch(page, /[\u0000-\u0008]|\p{Cs}/u);
  });

  it('draws what it has in colours for light and dark', () => {
    assert.equal(page.match(/<svg /g)?.length, 2);
    assert.match(page, /prefers-color-scheme: dark/);
    const [, , ...bars] = page.split('<svg ');
    assert.match(bars[0] as string, /fill="var\(--other\)"/);
    assert.match(bars[0] as string, />4,711 \(4,000-5,000\)</);
    const used = new Set([...page.matchAll(/"var\((--\w+)\)"/g)].map((match) => match[1] as string));
    for (const name of used) assert.equal(page.split(`${name}: #`).length, 3, `${name} has a light and a dark colour`);
  });
});

describe('the guard', () => {
  const bound: Bound = { scenario: 'relay-small', ratio: 'rate / direct', limit: 0.2, worse: 1.25, path: 'accept' };
  const measured = (median: number, better: Ratio['better'] = 'more'): Result =>
    resultOf([scenarioResult(asked('relay-small'), { ...outcome, ratios: [ratio('rate / direct', median, better)] })]);
  const told = (now: Result, before: Result | undefined, one = bound): [boolean, string][] =>
    verdicts(now, () => before?.scenarios[0], [one]).map(({ good, text }) => [good, text]);

  const cases: readonly (readonly [string, number, number | undefined, Ratio['better'], number, boolean, RegExp])[] = [
    ['as before', 0.4, 0.4, 'more', 0.2, true, /it was 0\.4/],
    ['a little slower than before', 0.33, 0.4, 'more', 0.2, true, /1\.21 times worse/],
    [
      'slower than before',
      0.31,
      0.4,
      'more',
      0.2,
      false,
      /1\.29 times worse \(1\.25 times is allowed\); slower is accept/,
    ],
    ['faster', 0.8, 0.4, 'more', 0.2, true, /2 times better/],
    ['as slow as before, and too slow', 0.19, 0.19, 'more', 0.2, false, /at least 0\.2/],
    ['the first of its machine', 0.4, undefined, 'more', 0.2, true, /no result of this machine is kept/],
    ['the first of its machine, too slow', 0.1, undefined, 'more', 0.2, false, /slower is accept/],
    ['a cost that is higher than before', 6, 4, 'less', 10, false, /1\.5 times worse/],
    ['a cost that is lower than before', 3, 4, 'less', 10, true, /1\.33 times better/],
    ['a cost above its limit', 11, 11, 'less', 10, false, /at most 10/],
    ['nothing at all', Number.NaN, 0.4, 'more', 0.2, false, /was not measured/],
  ];
  for (const [name, now, before, better, limit, good, words] of cases)
    it(`says of what is ${name}: ${good ? 'good' : 'slower'}`, () => {
      const kept = before === undefined ? undefined : measured(before, better);
      const [[verdict, text] = [], ...more] = told(measured(now, better), kept, { ...bound, limit });
      assert.equal(verdict, good);
      assert.match(text as string, words);
      assert.equal(more.length, 0);
    });

  it('does not call fast what did not do its work', () => {
    const failed = { ...measured(0.4).scenarios[0]!, failures: ['one lost'] };
    assert.deepEqual(told(resultOf([failed]), undefined)[0], [false, 'relay-small: its work failed']);
  });

  it('asks nothing about a relay that was not measured, and says what is meant to be', () => {
    const toPeer = { ...bound, ratio: 'rate / haraka', peer: 'haraka', target: 5 };
    assert.deepEqual(told(measured(0.4), undefined, toPeer), []);
    const [scenario] = measured(0.4).scenarios;
    const haraka = { name: 'haraka', version: '', durability: '' };
    const beside = { ...scenario!, relays: [haraka], ratios: [{ ...ratio('rate / haraka', 4) }] };
    assert.match(String(told(resultOf([beside]), undefined, toPeer)), /^true,.*: 4 \(at least 0\.2, meant to be 5\)/);
  });

  it('misses a ratio that has another name now', () => {
    assert.match(
      String(told(measured(0.4), undefined, { ...bound, ratio: 'gone' })),
      /false,relay-small: gone: was not/,
    );
  });
});

describe('npm run bench -- --read FILE --check', { timeout: 60_000 }, () => {
  const folder = temporaryFolder('check');
  const results = join(folder, 'results');
  const better = (name: string): Ratio['better'] => (/CPU|bare sync|peak/.test(name) ? 'less' : 'more');
  const relays = [...outcome.relays!, { name: 'haraka', version: '3.3.4', durability: 'fsync of a file' }];
  /** Every ratio that has a bound, `times` better than its limit. */
  const resultAt = (times: number): Result =>
    resultOf(
      [...new Set(BOUNDS.map(({ scenario }) => scenario))].map((name) => {
        const ratios = BOUNDS.filter(({ scenario }) => scenario === name).map((each) => {
          const way = better(each.ratio);
          return ratio(each.ratio, way === 'more' ? each.limit * times : each.limit / times, way);
        });
        return scenarioResult(asked(name), { ...outcome, ratios, relays });
      }),
    );
  const bench = (...words: string[]) =>
    spawnSync(process.execPath, ['bench/run.ts', ...words, '--results', results], { encoding: 'utf8' });
  const read = (times: number, facts: Partial<Result> = {}) => {
    const path = join(folder, 'result.json');
    writeFileSync(path, resultText({ ...resultAt(times), ...facts }));
    return bench('--read', path, '--check', '--html', join(folder, 'page.html'));
  };

  it('passes with what is as fast as before, and fails, saying so, with what got slower', () => {
    mkdirSync(results);
    keep(resultAt(2), results);
    const good = read(2);
    assert.equal(good.status, 0, good.stderr);
    assert.equal(good.stdout.match(/^ {2}good {4}/gm)?.length, BOUNDS.length);
    assert.doesNotMatch(good.stdout, /busy/);
    const slower = read(1.1, { loadBefore: 9.25 });
    assert.equal(slower.status, 1);
    assert.match(slower.stdout, /the machine was busy before it began: load average 9\.25 a CPU/);
    const lines = slower.stdout.split('\n').filter((line) => line.startsWith('  FAILED  '));
    assert.equal(lines.length, BOUNDS.length);
    for (const line of lines) assert.match(line, /1\.82 times worse \(1\.\d+ times is allowed\); slower is \w+/);
    assert.match(readFileSync(join(folder, 'page.html'), 'utf8'), /^<!DOCTYPE html>/);
  });

  it('says that nobody else is measured where that is so', () => {
    const words = ['bench/run.ts', 'relay-large', '--vs', 'HEAD'];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 10_000 });
    assert.deepEqual([status, stderr], [1, '--vs: relay-large: Postern alone is measured there\n']);
  });

  it('says in one line what is wrong with the words', () => {
    const { status, stderr } = bench('--check', '--read', join(folder, 'nothing.json'));
    assert.equal(status, 1);
    assert.match(stderr, /^\S+nothing\.json: there is no such file\n$/);
  });
});

describe('the words of npm run bench', () => {
  const understood = (...args: string[]) => {
    const parsed = parse(BENCH, args);
    assert.ok(parsed.tag === 'values');
    return parsed;
  };

  it('are three rounds, or one where it is quick', () => {
    assert.deepEqual([roundsOf(understood().values), roundsOf(understood('--quick').values)], [3, 1]);
    const { values, words } = understood('relay-small', '--vs', 'exim,HEAD', 'commit');
    assert.deepEqual([values.vs, words], ['exim,HEAD', ['relay-small', 'commit']]);
  });

  it('are told by --help', () => {
    const words = ['bench/run.ts', '--help'];
    const { status, stdout } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 10_000 });
    assert.equal(status, 0);
    for (const name of Object.keys(BENCH.table)) assert.ok(stdout.includes(`\n  --${name} `), name);
  });

  const refused: Readonly<Record<string, readonly string[]>> = {
    'quick shows': ['--quick', '--check'],
    'take 3 at least': ['--save', '--rounds', '2'],
    'from 1 to 100': ['--rounds', 'many'],
    'from 1000': ['--messages', '999'],
    'nothing to measure': ['--read', 'x', 'relay-small'],
    'no option': ['--fast'],
    'measures nothing': ['--read', 'x', '--vs', 'none'],
    'where --check looks': ['--results', 'x'],
  };
  for (const [why, words] of Object.entries(refused))
    it(`are refused: ${words.join(' ')}`, () => {
      const parsed = parse(BENCH, words);
      assert.ok(parsed.tag === 'faults');
      assert.match(parsed.faults.join('\n'), new RegExp(why));
    });
});

type Leaf = string | number | boolean | null;

function leavesOf(value: unknown): Leaf[] {
  if (typeof value !== 'object' || value === null) return [value as Leaf];
  return Object.values(value).flatMap(leavesOf);
}

/** As text of a page. */
const shown = (leaf: Leaf): string =>
  String(leaf)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
    .replace(/\u0000|\p{Cs}/gu, '\ufffd');

/** Tags that are not closed, or not in order, and attributes that are not quoted. */
function unbalanced(page: string): string[] {
  const open: string[] = [];
  const faults: string[] = [];
  for (const [tag, close, name, attributes, alone] of page.matchAll(/<(\/?)(\w+)((?:[^<>"]|"[^<>"]*")*?)(\/?)>/g)) {
    if (!/^(?:\s+[\w:-]+="[^"]*")*\s*$/.test(attributes as string)) faults.push(tag);
    if (alone === '/') continue;
    if (close === '') open.push(name as string);
    else if (open.pop() !== name) faults.push(tag);
  }
  const left = page.replace(/<(?:\/?\w(?:[^<>"]|"[^<>"]*")*|!DOCTYPE html)>/g, '');
  return [...faults, ...open, ...(left.match(/</g) ?? [])];
}
