/** The state of the process, put together from the supervisor's slots and the metrics' rows when somebody asks. */
import { monotonicMs, wallMs } from '../base/clock.ts';
import { renderMetrics } from '../telemetry/exposition.ts';
import type { CounterId, GaugeId, Metrics, MetricsMemory } from '../telemetry/metrics.ts';
import { readMetric, refusalTotals, totalOf } from '../telemetry/metrics.ts';
import type { Health, PressureReport, ShardReport, StatusReport, StatusSource } from '../telemetry/status.ts';
import type { FilterTotal, RuleTotal } from '../telemetry/tally.ts';
import type { ShardSlot } from './shard_slot.ts';

export type StatusParts = {
  readonly hostname: string;
  readonly slots: readonly ShardSlot[];
  readonly memory: MetricsMemory;
  /** The main thread's row. */
  readonly metrics: Metrics;
  readonly clients: () => number;
  /** Counts as ended what has ended until now. */
  readonly hearClosings: () => void;
  readonly pressure: () => PressureReport;
  readonly rules: () => readonly RuleTotal[];
  readonly filters: () => readonly FilterTotal[];
};

export class Status implements StatusSource {
  state: StatusReport['state'] = 'starting';
  readonly #parts: StatusParts;

  constructor(parts: StatusParts) {
    this.#parts = parts;
  }

  health(): Health {
    const { pressure, slots } = this.#parts;
    const shardsReady = slots.filter(({ state }) => state === 'ready').length;
    return {
      ok: this.state === 'serving' && shardsReady > 0,
      stopping: this.state === 'stopping',
      shards: slots.length,
      shardsReady,
      shardsBroken: slots.filter(({ state }) => state === 'broken').length,
      pressure: pressure(),
    };
  }

  report(): StatusReport {
    this.#parts.hearClosings();
    const { hostname, memory, pressure, slots } = this.#parts;
    const total = (...ids: (CounterId | GaugeId)[]) => ids.reduce((sum, id) => sum + totalOf(memory, id), 0);
    return {
      hostname,
      timeMs: wallMs(),
      uptimeSeconds: Math.round(monotonicMs() / 1000),
      state: this.state,
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: cpuSeconds(),
      totals: {
        connections: total('connections_accepted_outside', 'connections_accepted_inside'),
        connectionsRefused: total(...REFUSED_AT_GATE),
        messagesFromOutside: total('messages_accepted_outside'),
        messagesFromInside: total('messages_accepted_inside'),
        bytes: total('bytes_accepted'),
        recipientsDelivered: total('recipients_delivered'),
        recipientsDeferred: total('recipients_deferred'),
        recipientsFailed: total('recipients_failed', 'recipients_expired'),
        dsnQueued: total('dsn_failed', 'dsn_delayed', 'dsn_relayed', 'dsn_delivered', 'dsn_double'),
        logLinesDropped: total('log_lines_dropped'),
      },
      pressure: pressure(),
      refusals: refusalTotals(memory),
      shards: slots.map((slot) => shardReport(slot, memory)),
    };
  }

  async metricsPage(): Promise<string> {
    const { clients, filters, hearClosings, memory, metrics, rules } = this.#parts;
    hearClosings();
    metrics.set('clients_tracked', clients());
    metrics.set('shards_ready', this.health().shardsReady);
    metrics.set('process_resident_bytes', process.memoryUsage.rss());
    metrics.setTotal('process_cpu_seconds', cpuSeconds());
    return await renderMetrics(memory, rules(), filters());
  }
}

const REFUSED_AT_GATE = [
  'connections_refused_outside_total',
  'connections_refused_outside_client',
  'connections_refused_outside_rate',
  'connections_refused_outside_stopping',
  'connections_refused_outside_shard',
  'connections_refused_inside_total',
  'connections_refused_inside_client',
  'connections_refused_inside_rate',
  'connections_refused_inside_stopping',
  'connections_refused_inside_shard',
  'connections_refused_inside_network',
  'connections_refused_outside_spool',
  'connections_refused_outside_queue',
  'connections_refused_outside_memory',
  'connections_refused_inside_spool',
  'connections_refused_inside_queue',
  'connections_refused_inside_memory',
] as const satisfies readonly CounterId[];

function shardReport({ shard, state, restarts, sessions }: ShardSlot, memory: MetricsMemory): ShardReport {
  const read = (id: CounterId | GaugeId) => readMetric(memory, shard, id)[0]!;
  return {
    shard,
    state,
    restarts,
    sessions,
    messages: read('queue_messages'),
    ready: read('queue_ready'),
    scheduled: read('queue_scheduled'),
    connectionsOut: read('connections_out_open'),
    accepted: read('messages_accepted_outside') + read('messages_accepted_inside'),
    delivered: read('recipients_delivered'),
    eventLoopDelayMs: Math.round(read('event_loop_delay_seconds') * 1000),
  };
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
