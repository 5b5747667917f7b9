/** What Prometheus sees of examinations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilterCounts, filterLabels } from '../../../src/filters/counts.ts';
import type { FilterEnd, Findings } from '../../../src/filters/filter.ts';
import { ACCEPTED } from '../../../src/filters/filter.ts';
import { renderMetrics } from '../../../src/telemetry/exposition.ts';
import { createMetricsMemory } from '../../../src/telemetry/metrics.ts';
import type { FilterLabel } from '../../../src/telemetry/tally.ts';
import { Tally } from '../../../src/telemetry/tally.ts';

const FILTERS = [{ name: 'virus' }, { name: 'spam' }];
const end = (filter: string, findings: Partial<Findings> = {}, more: Partial<FilterEnd> = {}): FilterEnd => ({
  filter,
  findings: { ...ACCEPTED, ...findings },
  seconds: 1,
  filterSeconds: 0.03,
  refused: 0,
  ...more,
});

/** One tally, and the counters of both shards for a file with these filters. */
const begin = (tally: Tally<FilterLabel>, filters: readonly { readonly name: string }[]) => {
  const memory = tally.begin(filterLabels(filters, 2));
  return [0, 1].map((shard) => new FilterCounts(memory, filters, 2, shard)) as [FilterCounts, FilterCounts];
};

async function samples(tally: Tally<FilterLabel>): Promise<ReadonlyMap<string, number>> {
  const page = await renderMetrics(createMetricsMemory(2), [], tally.totals());
  const lines = page.split('\n').filter((line) => line.startsWith('postern_filter_'));
  return new Map(
    lines.map((line) => [line.slice(15, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test('each end in its place, both shards as one', async () => {
  const tally = new Tally<FilterLabel>();
  const [one, other] = begin(tally, FILTERS);
  one.ended(end('spam'));
  other.ended(end('spam', { verdict: 'hold' }, { filterSeconds: 0.3 }));
  other.ended(end('spam', { dryRun: { verdict: 'reject', changes: 2 } }, { filterSeconds: 500, refused: 2 }));
  one.ended(end('virus', { verdict: 'defer', failure: { reason: 'timeout', detail: 'x' } }, { filterSeconds: 60 }));
  one.ended(end('virus', { failure: { reason: 'aborted', detail: 'x' } }, { refused: 1 }));
  const seen = await samples(tally);
  const of = (filter: string) =>
    Object.fromEntries([...seen].filter(([key, value]) => key.includes(`"${filter}"`) && value !== 0));
  assert.deepEqual(of('virus'), {
    'failures_total{filter="virus",reason="timeout"}': 1,
    'recipients_refused_total{filter="virus"}': 1,
    'seconds_bucket{filter="virus",le="60"}': 1,
    'seconds_bucket{filter="virus",le="120"}': 1,
    'seconds_bucket{filter="virus",le="+Inf"}': 1,
    'seconds_count{filter="virus"}': 1,
    'seconds_sum{filter="virus"}': 60,
  });
  assert.equal(seen.get('verdicts_total{filter="spam",verdict="accept"}'), 1);
  assert.equal(seen.get('verdicts_total{filter="spam",verdict="hold"}'), 1);
  assert.equal(seen.get('verdicts_total{filter="spam",verdict="reject"}'), 1);
  assert.equal(seen.get('verdicts_total{filter="spam",verdict="defer"}'), 0);
  assert.equal(seen.get('recipients_refused_total{filter="spam"}'), 2);
  const buckets = ['0.025', '0.05', '0.25', '0.5', '120', '+Inf'].map((le) =>
    seen.get(`seconds_bucket{filter="spam",le="${le}"}`),
  );
  assert.deepEqual(buckets, [0, 1, 1, 2, 2, 3]);
  assert.equal(seen.get('seconds_count{filter="spam"}'), 3);
  assert.equal(Math.round(seen.get('seconds_sum{filter="spam"}')! * 100), 50_033);
});

test('counters outlast the file; breakers do not, and each shard tells of its own', async () => {
  const tally = new Tally<FilterLabel>();
  const [one, other] = begin(tally, FILTERS);
  const open = async (): Promise<unknown> => {
    const seen = await samples(tally);
    return [0, 1].map((shard) => seen.get(`breaker_open{filter="virus",shard="${shard}"}`));
  };
  one.ended(end('virus'));
  one.breaker('virus', true);
  other.breaker('virus', true);
  other.breaker('virus', false);
  assert.deepEqual(await open(), [1, 0]);
  const [next] = begin(tally, [...FILTERS].reverse());
  other.breaker('virus', true); // of the file before: nobody asks it any more
  assert.deepEqual(await open(), [0, 0]);
  next.ended(end('virus'));
  assert.equal((await samples(tally)).get('verdicts_total{filter="virus",verdict="accept"}'), 2);
});
