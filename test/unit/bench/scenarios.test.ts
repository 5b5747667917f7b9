/** The list of scenarios and its readme, what of theirs has a bound, and the comparison of targets in turn. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type Figure, type Turn, Turns } from '../../../bench/measure/turns.ts';
import { BOUNDS } from '../../../bench/results/bounds.ts';
import { SCENARIOS } from '../../../bench/scenarios/all.ts';
import { ratiosOf as commitRatios } from '../../../bench/scenarios/commit.ts';
import { ratiosOf as floodRatios } from '../../../bench/scenarios/connect_flood.ts';
import { ratiosOf as largeRatios } from '../../../bench/scenarios/relay_large.ts';
import { ratiosOf as smallRatios } from '../../../bench/scenarios/relay_small.ts';
import { ratiosOf as tlsRatios } from '../../../bench/scenarios/relay_tls.ts';

describe('scenarios', () => {
  const readme = readFileSync(new URL('../../../bench/README.md', import.meta.url), 'utf8');

  for (const { name, question, load, bound, checks } of SCENARIOS)
    it(`${name} says what it asks, sends, expects and checks, and is in the readme`, () => {
      for (const text of [question, load, bound, checks]) assert.match(text, /\w{3}/);
      assert.ok(readme.includes(`| \`${name}\` | `), 'a row of the table');
    });

  it('have names of their own', () => {
    const names = SCENARIOS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
  });
});

describe('bounds', () => {
  const relays = ['direct', 'postern', 'postfix', 'haraka'].map((name, pid) => ({ name, pid }));
  const given: Readonly<Record<string, readonly string[]>> = {
    'relay-small': smallRatios(new Turns([]), relays).map(({ name }) => name),
    commit: commitRatios([]).map(({ name }) => name),
    'relay-large': largeRatios([]).map(({ name }) => name),
    'relay-tls': tlsRatios(new Turns([]), relays.slice(1)).map(({ name }) => name),
    'connect-flood': floodRatios(new Turns([])).map(({ name }) => name),
  };

  for (const { scenario, ratio } of BOUNDS)
    it(`${scenario}: "${ratio}" is a ratio that it gives`, () => assert.ok(given[scenario]?.includes(ratio)));
});

describe('targets in turn', () => {
  const perSecond: Figure = (turn) => turn.perSecond;
  const turn = (round: number, target: string, rate: number): Turn =>
    ({ round, target, way: 'a', perSecond: rate }) as Turn;
  // The second round was slow for both; the ones who went first change.
  const turns = new Turns([turn(1, 'x', 100), turn(2, 'y', 20), turn(1, 'y', 50), turn(2, 'x', 30)]);

  it('are compared within a round, whoever went first', () => {
    assert.deepEqual(turns.ratio('a', 'x', 'y', perSecond), { median: 1.75, least: 1.5, most: 2 });
    assert.deepEqual(turns.difference('a', 'x', 'y', perSecond), { median: 30, least: 10, most: 50 });
  });

  it('give no figure for a round in which the other has no turn', () => {
    const alone = new Turns([turn(1, 'x', 100)]);
    assert.ok(Number.isNaN(alone.ratio('a', 'x', 'y', perSecond).median));
  });
});
