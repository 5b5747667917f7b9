/** Counters of rules, while the file that has them changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderMetrics } from '../../../src/telemetry/exposition.ts';
import { createMetricsMemory } from '../../../src/telemetry/metrics.ts';
import type { RuleLabel } from '../../../src/telemetry/tally.ts';
import { Counts, Tally } from '../../../src/telemetry/tally.ts';

const label = (rule: string, dryRun = false) => ({ rule, action: 'reject', dryRun });
const countsOf = (tally: Tally<RuleLabel>) => tally.totals().map(({ rule, dryRun, count }) => [rule, dryRun, count]);

test('what two shards count is one number, and a rule that never held is there with none', () => {
  const tally = new Tally<RuleLabel>();
  const memory = tally.begin([label('one'), label('two')]);
  new Counts(memory).count(1);
  new Counts(memory).count(1);
  assert.deepEqual(countsOf(tally), [
    ['one', false, 0],
    ['two', false, 2],
  ]);
});

test('a rule that stays keeps its number wherever it stands, one that is gone is forgotten', () => {
  const tally = new Tally<RuleLabel>();
  const first = new Counts(tally.begin([label('one'), label('two')]));
  first.count(0);
  first.count(1);
  const second = new Counts(tally.begin([label('two'), label('three')]));
  second.count(0);
  first.count(1); // a session that is still under the old rules
  assert.deepEqual(countsOf(tally), [
    ['two', false, 3],
    ['three', false, 0],
  ]);
  tally.begin([label('two')]);
  assert.deepEqual(countsOf(tally), [['two', false, 3]]);
  tally.begin([label('two')]);
  assert.deepEqual(countsOf(tally), [['two', false, 3]]);
  tally.begin([label('one'), label('two', true)]);
  assert.deepEqual(countsOf(tally), [
    ['one', false, 0],
    ['two', true, 0],
  ]);
});

test('Prometheus reads them by rule, action and dry run', async () => {
  const tally = new Tally<RuleLabel>();
  new Counts(tally.begin([label('one'), label('trial', true)])).count(1);
  const page = await renderMetrics(createMetricsMemory(1), tally.totals());
  assert.match(page, /^postern_rule_matches_total\{rule="one",action="reject",dry_run="false"\} 0$/m);
  assert.match(page, /^postern_rule_matches_total\{rule="trial",action="reject",dry_run="true"\} 1$/m);
});
