import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { REPLIES } from '../../../src/smtp/replies.ts';
import { renderMetrics } from '../../../src/telemetry/exposition.ts';
import {
  clearGauges,
  createMetricsMemory,
  METRICS,
  type Metric,
  Metrics,
  mainRow,
  readMetric,
  refusalTotals,
  totalOf,
} from '../../../src/telemetry/metrics.ts';

const linesOf = async (memory: Parameters<typeof renderMetrics>[0]) => (await renderMetrics(memory)).split('\n');

test('counters of all shards are summed, gauges of a shard are shown apart', async () => {
  const memory = createMetricsMemory(2);
  const [first, second] = [new Metrics(memory, 0), new Metrics(memory, 1)];
  first.count('messages_accepted_outside');
  second.count('messages_accepted_outside', 4);
  second.count('messages_accepted_inside');
  first.set('sessions_open', 7);
  second.set('sessions_open', 9);
  const lines = await linesOf(memory);
  assert.ok(lines.includes('postern_messages_accepted_total{side="outside"} 5'));
  assert.ok(lines.includes('postern_messages_accepted_total{side="inside"} 1'));
  assert.ok(lines.includes('postern_sessions_open{shard="0"} 7'));
  assert.ok(lines.includes('postern_sessions_open{shard="1"} 9'));
  assert.ok(!lines.some((line) => line.includes('shard="2"')), 'the main thread is no shard');
  assert.equal(totalOf(memory, 'messages_accepted_outside'), 5);
});

test('a histogram prints cumulative buckets, sum and count over all rows', async () => {
  const memory = createMetricsMemory(2);
  new Metrics(memory, 0).observe('commit_seconds', 0.0004);
  new Metrics(memory, 0).observe('commit_seconds', 0.0005);
  new Metrics(memory, 1).observe('commit_seconds', 0.003);
  new Metrics(memory, 1).observe('commit_seconds', 99);
  const lines = (await linesOf(memory)).filter((line) => line.startsWith('postern_commit_seconds'));
  assert.ok(lines.includes('postern_commit_seconds_bucket{le="0.0005"} 2'), 'a bound belongs to its bucket');
  assert.ok(lines.includes('postern_commit_seconds_bucket{le="0.0025"} 2'));
  assert.ok(lines.includes('postern_commit_seconds_bucket{le="0.005"} 3'));
  assert.ok(lines.includes('postern_commit_seconds_bucket{le="5"} 3'));
  assert.ok(lines.includes('postern_commit_seconds_bucket{le="+Inf"} 4'));
  assert.ok(lines.includes('postern_commit_seconds_count 4'));
  assert.ok(lines.some((line) => /^postern_commit_seconds_sum 99\.00\d+$/.test(line)));
});

test('refusals have class and reason; an unknown reason counts as other', async () => {
  const memory = createMetricsMemory(1, { spoolFull: 452, relayDenied: 550 });
  const metrics = new Metrics(memory, 0);
  metrics.refused('relayDenied');
  metrics.refused('relayDenied');
  metrics.refused('spoolFull');
  metrics.refused('neverHeardOf');
  const lines = await linesOf(memory);
  assert.ok(lines.includes('postern_refusals_total{class="5yz",reason="relayDenied"} 2'));
  assert.ok(lines.includes('postern_refusals_total{class="4yz",reason="spoolFull"} 1'));
  assert.deepEqual(
    refusalTotals(memory).map(({ reason, count }) => [reason, count]),
    [
      ['other', 1],
      ['spoolFull', 1],
      ['relayDenied', 2],
    ],
  );
});

test('every metric fills its own slots and no others', () => {
  const refusals = Object.fromEntries(Object.entries(REPLIES).map(([key, [code]]) => [key, code]));
  const memory = createMetricsMemory(1, refusals);
  const metrics = new Metrics(memory, 0);
  let expected = 0;
  for (const [id, row] of Object.entries(METRICS)) {
    const metric: Metric = row;
    expected++;
    if (metric.kind === 'counter') metrics.count(id as 'commands', expected);
    else if (metric.kind === 'gauge') metrics.set(id as 'sessions_open', expected);
    else metrics.observe(id as 'commit_seconds', expected);
  }
  for (const reason of Object.keys(REPLIES)) metrics.refused(reason);
  expected = 0;
  for (const [id, row] of Object.entries(METRICS)) {
    const metric: Metric = row;
    expected++;
    const slots = readMetric(memory, 0, id as 'commands');
    if (metric.kind === 'histogram')
      assert.equal(
        slots.slice(0, -1).reduce((sum, value) => sum + value, 0),
        1,
        id,
      );
    assert.equal(slots.at(-1), expected, id);
    assert.ok(
      readMetric(memory, mainRow(memory), id as 'commands').every((value) => value === 0),
      'rows are apart',
    );
  }
  assert.ok(refusalTotals(memory).every(({ count }) => count === 1));
});

test('a dead shard leaves its counters and takes its gauges along', () => {
  const memory = createMetricsMemory(1);
  const metrics = new Metrics(memory, 0);
  metrics.count('commands', 3);
  metrics.set('sessions_open', 5);
  metrics.observe('delivery_seconds', 1);
  clearGauges(memory, 0);
  assert.deepEqual(readMetric(memory, 0, 'commands'), [3]);
  assert.deepEqual(readMetric(memory, 0, 'sessions_open'), [0]);
  assert.equal(readMetric(memory, 0, 'delivery_seconds').at(-1), 1);
});

test('another thread counts into the same memory', async () => {
  const memory = createMetricsMemory(1);
  const module = new URL('../../../src/telemetry/metrics.ts', import.meta.url).href;
  const code = `import { workerData } from 'node:worker_threads';
    const { Metrics } = await import(${JSON.stringify(module)});
    new Metrics(workerData, 0).count('commands', 42);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData: memory });
  await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
  assert.equal(totalOf(memory, 'commands'), 42);
});

test('the page is well formed: one HELP and TYPE a name, each sample a number', async () => {
  const memory = createMetricsMemory(3, { relayDenied: 550 });
  new Metrics(memory, 1).refused('relayDenied');
  const lines = (await linesOf(memory)).filter((line) => line !== '');
  const types = lines.filter((line) => line.startsWith('# TYPE'));
  assert.equal(new Set(types).size, types.length);
  for (const line of lines.filter((each) => !each.startsWith('#')))
    assert.match(line, /^[a-z_]+(\{([a-z]+="[^"]*",?)*\})? [-+0-9.e]+$/);
});
