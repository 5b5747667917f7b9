/**
 * Metrics: one table, and one row of numbers for each thread in shared memory, so that counting is a plain store.
 *
 *   row 0        | slot of metric 0 | slot of metric 1 | … | refusals by reason | …   written by shard 0 only
 *   row 1        | …                                                                   written by shard 1 only
 *   row shards   | …                                                                   written by the main thread only
 *
 * A histogram has one slot a bucket (not cumulative), then +Inf, then its sum. A row has one writer, and a reader may
 * see
 * it half a message old: an aligned 8-byte store does not tear. A shard that dies leaves its counters to its successor.
 */
import { assert } from '../base/assert.ts';

type Labels = Readonly<Record<string, string>>;
export type Metric = {
  /** Prometheus name without the prefix; several ids share one name with different labels. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: Labels;
  /** Upper bounds, rising. */
  readonly buckets?: readonly number[];
  /** Gauges of one shard are shown apart (`shard="0"`); everything else is summed. */
  readonly perShard?: true;
};

const counter = (name: string, help: string, labels: Labels = {}) => ({ name, kind: 'counter', help, labels }) as const;
const gauge = (name: string, help: string, labels: Labels = {}) => ({ name, kind: 'gauge', help, labels }) as const;
const shardGauge = (name: string, help: string) => ({ name, kind: 'gauge', help, perShard: true }) as const;
const histogram = (name: string, help: string, buckets: readonly number[]) =>
  ({ name, kind: 'histogram', help, buckets }) as const;

const CONNECTIONS = 'Connections admitted by the gate';
const REFUSED = 'Connections refused by the gate';
const refusedAtGate = (side: string, reason: string) => counter('connections_refused_total', REFUSED, { side, reason });
const PRESSURE_OF = 'Level of back-pressure that each quantity asks for; unknown ones ask for none';
const pressureOf = (quantity: string) => gauge('pressure_quantity_level', PRESSURE_OF, { quantity });
const ENDED = 'Sessions ended, by how their connection ended';
const ended = (reason: string) => counter('sessions_ended_total', ENDED, { reason });
const TLS = 'TLS handshakes';
const tls = (direction: string, result: string) => counter('tls_handshakes_total', TLS, { direction, result });
const ACCEPTED = 'Messages answered 250 and in the journal';
const ATTEMPTS = 'Delivery attempts (a transaction or its failure), by site and outcome for most of their recipients';
const attempt = (side: string, outcome: string) => counter('delivery_attempts_total', ATTEMPTS, { side, outcome });
const RECIPIENTS = 'Recipients by what became of them; one is deferred as often as it is tried in vain';
const recipients = (outcome: string) => counter('recipients_total', RECIPIENTS, { outcome });
const TROUBLE = 'Facts that could not be found out, by who was asked: nobody was there, or the answer came late';
const trouble = (source: string) => counter('source_trouble_total', TROUBLE, { source });
const DSN = 'Delivery status notifications queued; double: of double bounces, to the postmaster';
const dsn = (kind: string) => counter('dsn_queued_total', DSN, { kind });

export const METRICS = {
  // The gate.
  connections_accepted_outside: counter('connections_total', CONNECTIONS, { side: 'outside' }),
  connections_accepted_inside: counter('connections_total', CONNECTIONS, { side: 'inside' }),
  connections_refused_outside_total: refusedAtGate('outside', 'total'),
  connections_refused_outside_client: refusedAtGate('outside', 'client'),
  connections_refused_outside_rate: refusedAtGate('outside', 'rate'),
  connections_refused_outside_stopping: refusedAtGate('outside', 'stopping'),
  connections_refused_outside_shard: refusedAtGate('outside', 'no-shard'),
  connections_refused_inside_total: refusedAtGate('inside', 'total'),
  connections_refused_inside_client: refusedAtGate('inside', 'client'),
  connections_refused_inside_rate: refusedAtGate('inside', 'rate'),
  connections_refused_inside_stopping: refusedAtGate('inside', 'stopping'),
  connections_refused_inside_shard: refusedAtGate('inside', 'no-shard'),
  connections_refused_inside_network: refusedAtGate('inside', 'network'),
  connections_refused_outside_spool: refusedAtGate('outside', 'pressure-spool'),
  connections_refused_outside_queue: refusedAtGate('outside', 'pressure-queue'),
  connections_refused_outside_memory: refusedAtGate('outside', 'pressure-memory'),
  connections_refused_inside_spool: refusedAtGate('inside', 'pressure-spool'),
  connections_refused_inside_queue: refusedAtGate('inside', 'pressure-queue'),
  connections_refused_inside_memory: refusedAtGate('inside', 'pressure-memory'),
  clients_tracked: gauge('clients_tracked', 'Clients (/32, /64) whose connections are counted'),
  shards_ready: gauge('shards_ready', 'Shards that take connections'),
  shard_restarts: counter('shard_restarts_total', 'Shards run again after their death'),
  shards_hung: counter('shards_hung_total', 'Shards that were ended since their event loop did not turn any more'),
  shard_beats: counter(
    'shard_beats_total',
    'Turns of the status timer, one a second for each shard that does not hang',
  ),
  log_lines_dropped: counter('log_lines_dropped_total', 'Log lines dropped since standard output was not read in time'),
  process_cpu_seconds: counter('process_cpu_seconds_total', 'CPU of all threads, user and system'),
  process_resident_bytes: gauge('process_resident_memory_bytes', 'Resident memory of the process'),

  // Back-pressure.
  pressure_level: gauge('pressure_level', '0: none. 1: outside is deferred. 2: everything new is deferred'),
  pressure_spool_bytes: pressureOf('spool-bytes'),
  pressure_spool_inodes: pressureOf('spool-inodes'),
  pressure_queue: pressureOf('queue'),
  pressure_memory: pressureOf('memory'),
  spool_free_bytes: gauge('spool_free_bytes', 'Free bytes on the file system of the spool; NaN: unknown'),
  spool_free_inodes: gauge('spool_free_inodes', 'Free inodes there; NaN: unknown, or not counted by it'),
  process_unreclaimable_bytes: gauge(
    'process_unreclaimable_memory_bytes',
    'Resident memory without files: what counts as pressure; NaN: unknown',
  ),

  // Sessions.
  sessions_open: shardGauge('sessions_open', 'Sessions at this moment'),
  sessions_ended_peer_closed: ended('peer-closed'),
  sessions_ended_finished: ended('finished'),
  sessions_ended_error: ended('error'),
  sessions_ended_tls_failed: ended('tls-failed'),
  sessions_ended_destroyed: ended('destroyed'),
  tls_inbound_ok: tls('in', 'ok'),
  tls_inbound_failed: tls('in', 'failed'),
  tls_outbound_ok: tls('out', 'ok'),
  tls_outbound_failed: tls('out', 'failed'),
  commands: counter('commands_total', 'SMTP commands read'),
  recipients_refused: counter('recipients_refused_total', 'RCPT commands refused'),

  // Sources of facts.
  trouble_reverse_name: trouble('reverse-name'),
  trouble_dns_lists: trouble('dns-lists'),
  trouble_dns_lists_helo: trouble('dns-lists-helo'),
  trouble_dns_lists_sender: trouble('dns-lists-sender'),
  trouble_helo: trouble('helo'),
  trouble_geoip: trouble('geoip'),
  trouble_recipients_hashes: trouble('recipients-hashes'),
  trouble_recipients_ldap: trouble('recipients-ldap'),
  trouble_recipients_http: trouble('recipients-http'),
  trouble_recipients_callout: trouble('recipients-callout'),
  trouble_other: trouble('other'),

  // Messages in.
  messages_accepted_outside: counter('messages_accepted_total', ACCEPTED, { side: 'outside' }),
  messages_accepted_inside: counter('messages_accepted_total', ACCEPTED, { side: 'inside' }),
  bytes_accepted: counter('accepted_bytes_total', 'Content bytes of accepted messages'),
  commit_seconds: histogram(
    'commit_seconds',
    'End of content to our 250, of which most is the sync of the journal',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  ),

  // The journal.
  journal_syncs: counter('journal_syncs_total', 'fdatasync calls of the journals'),
  journal_records: counter('journal_records_total', 'Records that these made durable'),
  journal_segments: shardGauge('journal_segments', 'Segment files'),
  journal_bytes: shardGauge('journal_bytes', 'Bytes on disk, of segments and of large contents'),
  journal_broken: shardGauge(
    'journal_broken',
    '1: a sync failed, and this shard takes no mail until Postern is started anew',
  ),
  content_bytes_in_memory: shardGauge('content_memory_bytes', 'Content held in memory'),

  // The queue and messages out.
  queue_messages: shardGauge('queue_messages', 'Messages with a recipient that is not final'),
  queue_ready: shardGauge('queue_ready', 'Recipients that are due and wait for DNS or a connection'),
  queue_scheduled: shardGauge('queue_scheduled', 'Recipients that wait for their time'),
  queue_held: shardGauge('queue_held', 'Recipients that wait until somebody releases them'),
  queue_oldest_due_seconds: shardGauge(
    'queue_oldest_due_seconds',
    'How long the recipient that waits longest has been due',
  ),
  queue_stalled: shardGauge('queue_stalled', 'Dispatchers that should move and do not (event queue-stalled)'),
  sites: shardGauge('sites', 'Sites with mail that is due, a connection, or a pause since nobody was there'),
  connections_out_open: shardGauge('connections_out_open', 'Connections to next hops'),
  connections_out_opened: counter('connections_out_opened_total', 'Connections to next hops begun'),
  connections_out_reused: counter(
    'connections_out_reused_total',
    'Messages sent over a connection that had carried another',
  ),
  attempts_inside_delivered: attempt('inside', 'delivered'),
  attempts_inside_deferred: attempt('inside', 'deferred'),
  attempts_inside_failed: attempt('inside', 'failed'),
  attempts_outside_delivered: attempt('outside', 'delivered'),
  attempts_outside_deferred: attempt('outside', 'deferred'),
  attempts_outside_failed: attempt('outside', 'failed'),
  recipients_delivered: recipients('delivered'),
  recipients_deferred: recipients('deferred'),
  recipients_failed: recipients('failed'),
  recipients_expired: recipients('expired'),
  dsn_failed: dsn('failed'),
  dsn_delayed: dsn('delayed'),
  dsn_relayed: dsn('relayed'),
  dsn_delivered: dsn('delivered'),
  dsn_double: dsn('double'),
  dsn_dropped: counter(
    'dsn_dropped_total',
    'Notifications that were not wanted, had nobody to go to, or found no room',
  ),
  delivery_seconds: histogram(
    'delivery_seconds',
    "A delivered message's last attempt, from its start to the next hop's 250",
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  ),
  queue_seconds: histogram(
    'queue_seconds',
    'From our 250 to that of the next hop',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 1800, 7200, 43_200, 172_800, 432_000],
  ),

  // Threads.
  event_loop_delay_seconds: shardGauge(
    'event_loop_delay_seconds',
    'Longest turn of the event loop in the last second or so',
  ),
} as const satisfies Record<string, Metric>;

export type MetricId = keyof typeof METRICS;
type IdOf<Kind extends Metric['kind']> = {
  [Id in MetricId]: (typeof METRICS)[Id]['kind'] extends Kind ? Id : never;
}[MetricId];
export type CounterId = IdOf<'counter'>;
export type GaugeId = IdOf<'gauge'>;
export type HistogramId = IdOf<'histogram'>;

const metricOf = (id: MetricId): Metric => METRICS[id];
const slotsOf = (metric: Metric): number => (metric.kind === 'histogram' ? (metric.buckets?.length ?? 0) + 2 : 1);

/** First slot of each metric, and where refusals begin. */
const { offsets: OFFSETS, end: REFUSALS_AT } = layOut();

function layOut(): { offsets: Readonly<Record<MetricId, number>>; end: number } {
  const offsets: Partial<Record<MetricId, number>> = {};
  let end = 0;
  for (const id of Object.keys(METRICS) as MetricId[]) {
    offsets[id] = end;
    end += slotsOf(metricOf(id));
  }
  return { offsets: offsets as Record<MetricId, number>, end };
}

/** Why something was refused: a key of the reply table, and its code. */
export type Refusal = { readonly reason: string; readonly code: number };
const OTHER: Refusal = { reason: 'other', code: 0 };

/** Crosses threads as it is. */
export type MetricsMemory = {
  readonly buffer: SharedArrayBuffer;
  readonly shards: number;
  readonly refusals: readonly Refusal[];
};

const CACHE_LINE_SLOTS = 8;
const strideOf = (refusals: number): number =>
  Math.ceil((REFUSALS_AT + refusals) / CACHE_LINE_SLOTS) * CACHE_LINE_SLOTS; // no two writers in a cache line

/** `refusals`: reason → reply code, what `Metrics.refused` may be called with; anything else counts as `other`. */
export function createMetricsMemory(shards: number, refusals: Readonly<Record<string, number>> = {}): MetricsMemory {
  const reasons = [OTHER, ...Object.entries(refusals).map(([reason, code]) => ({ reason, code }))];
  const buffer = new SharedArrayBuffer((shards + 1) * strideOf(reasons.length) * Float64Array.BYTES_PER_ELEMENT);
  return { buffer, shards, refusals: reasons };
}

export const mainRow = (memory: MetricsMemory): number => memory.shards;

const rowOf = (memory: MetricsMemory, row: number): Float64Array => {
  assert(row >= 0 && row <= memory.shards, 'every thread has a row');
  const stride = strideOf(memory.refusals.length);
  return new Float64Array(memory.buffer, row * stride * Float64Array.BYTES_PER_ELEMENT, stride);
};

/** The only writer of its row. Nothing here allocates or waits. */
export class Metrics {
  readonly #row: Float64Array;
  readonly #refusalSlots: ReadonlyMap<string, number>;

  constructor(memory: MetricsMemory, row: number) {
    this.#row = rowOf(memory, row);
    this.#refusalSlots = new Map(memory.refusals.map(({ reason }, at) => [reason, REFUSALS_AT + at]));
  }

  count(id: CounterId, by = 1): void {
    this.#row[OFFSETS[id]]! += by;
  }

  set(id: GaugeId, value: number): void {
    this.#row[OFFSETS[id]] = value;
  }

  /** For a counter that somebody else keeps; it must not fall. */
  setTotal(id: CounterId, value: number): void {
    this.#row[OFFSETS[id]] = value;
  }

  /** O(buckets), of which there are at most 16. */
  observe(id: HistogramId, value: number): void {
    const { buckets } = METRICS[id];
    const at = OFFSETS[id];
    let bucket = 0;
    while (bucket < buckets.length && value > buckets[bucket]!) bucket++;
    this.#row[at + bucket]! += 1;
    this.#row[at + buckets.length + 1]! += value;
  }

  /** A reply of class 4 or 5, by its key in the reply table. */
  refused(reason: string): void {
    this.#row[this.#refusalSlots.get(reason) ?? REFUSALS_AT]! += 1;
  }
}

/** One metric in one row: a counter's or gauge's value, of a histogram its buckets, +Inf and sum. */
export function readMetric(memory: MetricsMemory, row: number, id: MetricId): readonly number[] {
  return [...rowOf(memory, row).subarray(OFFSETS[id], OFFSETS[id] + slotsOf(metricOf(id)))];
}

/** Summed over all rows. */
export function totalOf(memory: MetricsMemory, id: CounterId | GaugeId): number {
  let total = 0;
  for (let row = 0; row <= memory.shards; row++) total += readMetric(memory, row, id)[0]!;
  return total;
}

/** Summed over all rows; those that never happened are left out. */
export function refusalTotals(memory: MetricsMemory): readonly (Refusal & { readonly count: number })[] {
  const rows = Array.from({ length: memory.shards + 1 }, (_, row) => rowOf(memory, row));
  return memory.refusals
    .map((refusal, at) => ({ ...refusal, count: rows.reduce((sum, row) => sum + row[REFUSALS_AT + at]!, 0) }))
    .filter(({ count }) => count > 0);
}

/** The gauges of a shard that has died; its counters stay for its successor. */
export function clearGauges(memory: MetricsMemory, row: number): void {
  const slots = rowOf(memory, row);
  for (const id of Object.keys(METRICS) as MetricId[]) {
    if (metricOf(id).kind === 'gauge') slots[OFFSETS[id]] = 0;
  }
}
