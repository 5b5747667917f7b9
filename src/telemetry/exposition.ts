/** The page that Prometheus reads (text format 0.0.4), by prom-client from the rows of metrics.ts. */
import { AggregatorRegistry } from 'prom-client';
import type { MetricId, MetricsMemory } from './metrics.ts';
import { METRICS, type Metric, readMetric, refusalTotals } from './metrics.ts';
import type { FilterTotal, RuleTotal } from './tally.ts';

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const PREFIX = 'postern_';

type Sample = {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
};
type Family = {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: 'sum';
  readonly values: Sample[];
};

/** prom-client sums what has equal names and labels over the rows, as it does for the processes of a cluster. */
export async function renderMetrics(
  memory: MetricsMemory,
  rules: readonly RuleTotal[] = [],
  filters: readonly FilterTotal[] = [],
): Promise<string> {
  const rows = Array.from({ length: memory.shards + 1 }, (_, row) => familiesOf(memory, row));
  rows.push([refusals(memory), held(rules), ...examined(filters)]);
  return await AggregatorRegistry.aggregate(rows).metrics();
}

function familiesOf(memory: MetricsMemory, row: number): Family[] {
  const families = new Map<string, Family>();
  const isMain = row === memory.shards;
  for (const id of Object.keys(METRICS) as MetricId[]) {
    const metric: Metric = METRICS[id];
    if (isMain && metric.perShard === true) continue;
    const name = metric.name.startsWith('process_') ? metric.name : PREFIX + metric.name;
    let family = families.get(name);
    if (family === undefined) {
      family = { name, help: metric.help, type: metric.kind, aggregator: 'sum', values: [] };
      families.set(name, family);
    }
    const labels = { ...metric.labels, ...(metric.perShard === true ? { shard: String(row) } : {}) };
    family.values.push(...samples(metric, name, labels, readMetric(memory, row, id)));
  }
  return [...families.values()];
}

function samples(metric: Metric, name: string, labels: Sample['labels'], slots: readonly number[]): readonly Sample[] {
  if (metric.kind !== 'histogram') return [{ value: slots[0]!, labels }];
  const bounds = [...(metric.buckets ?? []).map(String), '+Inf'];
  let count = 0;
  const buckets = bounds.map((le, at): Sample => {
    count += slots[at]!;
    return { value: count, labels: { ...labels, le }, metricName: `${name}_bucket` };
  });
  const sum = slots[bounds.length]!;
  return [
    ...buckets,
    { value: sum, labels, metricName: `${name}_sum` },
    { value: count, labels, metricName: `${name}_count` },
  ];
}

/** As many series as rules in force, those that never held as well: a rate begins with the first time. */
function held(rules: readonly RuleTotal[]): Family {
  const values = rules.map(({ rule, action, dryRun, count }) => ({
    value: count,
    labels: { rule, action, dry_run: String(dryRun) },
  }));
  const help = 'How often a rule of the policy in force has held, by its id; dry_run: it is only logged';
  return { name: `${PREFIX}rule_matches_total`, help, type: 'counter', aggregator: 'sum', values };
}

const FILTER_FAMILIES: Readonly<Record<string, readonly [kind: Metric['kind'], help: string]>> = {
  filter_verdicts_total: [
    'counter',
    'What filters said of messages, failures apart; on trial: what they would have had done',
  ],
  filter_failures_total: ['counter', 'Examinations that failed, by reason; paused: the breaker was open'],
  filter_recipients_refused_total: ['counter', 'Recipients that a filter would not have, one by one'],
  filter_seconds: ['histogram', 'Time that a filter was waited for in an examination'],
  filter_breaker_open: ['gauge', '1: the filter has failed too often in this shard, and is left alone for a while'],
};

function examined(totals: readonly FilterTotal[]): readonly Family[] {
  return Object.entries(FILTER_FAMILIES).map(([family, [type, help]]) => {
    const name = PREFIX + family;
    const values = totals
      .filter((total) => total.family === family)
      .map(({ labels, suffix = '', scale = 1, count }) => ({
        value: count * scale,
        labels,
        ...(suffix === '' ? {} : { metricName: name + suffix }),
      }));
    return { name, help, type, aggregator: 'sum', values };
  });
}

/** Reasons come and go with what happens; a class is the first digit of the reply. */
function refusals(memory: MetricsMemory): Family {
  const values = refusalTotals(memory).map(({ reason, code, count }) => ({
    value: count,
    labels: { class: code < 500 ? '4yz' : '5yz', reason },
  }));
  const help = 'Replies of class 4 and 5, by their key in the reply table';
  return { name: `${PREFIX}refusals_total`, help, type: 'counter', aggregator: 'sum', values };
}
