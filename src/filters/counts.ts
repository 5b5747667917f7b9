/**
 * What becomes of examinations, in numbers: for each filter of the policy file one slot of a `Tally` for each sample
 * that Prometheus sees, in one memory that all shards share. A message that did not come counts nowhere.
 *
 *   │ verdicts │ failures by reason │ recipients refused │ buckets of seconds │ count │ sum │ breaker of each shard │
 */
import type { FilterLabel } from '../telemetry/tally.ts';
import { Counts } from '../telemetry/tally.ts';
import type { FailureReason, FilterEnd, FilterHooks, Verdict } from './filter.ts';

const VERDICTS: readonly Verdict[] = ['accept', 'reject', 'defer', 'discard', 'hold'];
const REASONS: readonly FailureReason[] = [
  'unreachable',
  'timeout',
  'died',
  'malformed',
  'bounds',
  'error',
  'busy',
  'paused',
];
/** Upper bounds; each bucket holds all below it. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const MICROSECOND = 1e-6;

const FAILURES_AT = VERDICTS.length;
const REFUSED_AT = FAILURES_AT + REASONS.length;
const BUCKETS_AT = REFUSED_AT + 1;
const COUNT_AT = BUCKETS_AT + SECONDS.length + 1;
const BREAKERS_AT = COUNT_AT + 2;

type Listed = readonly { readonly name: string }[];

/** For `Tally.begin`: filters in the order of the file. */
export const filterLabels = (filters: Listed, shards: number): readonly FilterLabel[] =>
  filters.flatMap(({ name: filter }): readonly FilterLabel[] => [
    ...VERDICTS.map((verdict) => ({ family: 'filter_verdicts_total', labels: { filter, verdict } })),
    ...REASONS.map((reason) => ({ family: 'filter_failures_total', labels: { filter, reason } })),
    { family: 'filter_recipients_refused_total', labels: { filter } },
    ...[...SECONDS.map(String), '+Inf'].map((le) => ({
      family: 'filter_seconds',
      suffix: '_bucket',
      labels: { filter, le },
    })),
    { family: 'filter_seconds', suffix: '_count', labels: { filter } },
    { family: 'filter_seconds', suffix: '_sum', labels: { filter }, scale: MICROSECOND },
    ...Array.from({ length: shards }, (_, shard) => ({
      family: 'filter_breaker_open',
      labels: { filter, shard: String(shard) },
      gauge: true as const,
    })),
  ]);

/** In a shard. */
export class FilterCounts implements FilterHooks {
  readonly #counts: Counts;
  readonly #places: ReadonlyMap<string, number>;
  readonly #shard: number;

  /** `shards` as for the labels. All breakers of this shard are closed. */
  constructor(memory: SharedArrayBuffer, filters: Listed, shards: number, shard: number) {
    this.#counts = new Counts(memory);
    this.#places = new Map(filters.map(({ name }, at) => [name, at * (BREAKERS_AT + shards)]));
    this.#shard = shard;
    for (const { name } of filters) this.breaker(name, false);
  }

  readonly ended = ({ filter, findings, filterSeconds, refused }: FilterEnd): void => {
    const { verdict, failure, dryRun } = findings;
    const place = this.#places.get(filter)!;
    if (refused > 0) this.#counts.count(place + REFUSED_AT, refused);
    if (failure?.reason === 'aborted') return;
    if (failure === undefined) this.#counts.count(place + VERDICTS.indexOf(dryRun?.verdict ?? verdict));
    else this.#counts.count(place + FAILURES_AT + REASONS.indexOf(failure.reason));
    for (let bucket = SECONDS.length; bucket >= 0 && filterSeconds <= (SECONDS[bucket] ?? Infinity); bucket--)
      this.#counts.count(place + BUCKETS_AT + bucket);
    this.#counts.count(place + COUNT_AT);
    this.#counts.count(place + COUNT_AT + 1, Math.round(filterSeconds / MICROSECOND));
  };

  readonly breaker = (filter: string, open: boolean): void => {
    this.#counts.set(this.#places.get(filter)! + BREAKERS_AT + this.#shard, open ? 1 : 0);
  };
}
