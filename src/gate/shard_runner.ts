/**
 * A shard's side of the wire to main: unpacks messages for the shard, packs its reports, and ends the task well or
 * badly.
 *
 *   start ─► replay (connections that come early wait in the port) ─► ready ─► serving ─► drain ─► task resolves
 *     └───────────────── anything thrown ends the thread, and the task rejects ◄──┘
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type MessagePort, threadId } from 'node:worker_threads';
import { AssertionFailure, unreachable } from '../base/assert.ts';
import { LIMITS } from '../config/limits.ts';
import { socketOf } from '../net/accepted.ts';
import type { Shard, ShardContext } from '../relay/shard.ts';
import { BatchingLogger } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { Answers } from './answers.ts';
import { ClosingsWriter } from './closings.ts';
import type { HandoverMemory } from './handover.ts';
import { take } from './handover.ts';
import type { FromShard, ShardTask, ToShard } from './messages.ts';

/** relay's `startShard`, but in tests. */
export type StartShard = (context: ShardContext) => Promise<ShardDoors>;
/** What is used of a shard here. */
export type ShardDoors = Pick<Shard, 'accept' | 'reloadTls' | 'reloadPolicy' | 'drain' | 'status' | 'queue'>;

const LOG_LIMITS = {
  batchBytes: LIMITS.logBatchBytes,
  batchMs: LIMITS.reportMs,
  valueCharsMax: LIMITS.logValueCharsMax,
  bufferBytesMax: LIMITS.logBufferBytesMax,
};

/** Resolves when the shard is drained. Rejects, or the thread ends, when it dies. */
export async function runShard(task: ShardTask, start: StartShard): Promise<void> {
  const { shard, config, port } = task;
  const post = (message: FromShard) => port.postMessage(message);
  const logger = new BatchingLogger(config.logLevel, { shard }, LOG_LIMITS, (lines) => post({ tag: 'lines', lines }));
  const lastLines = () => logger.flush();
  process.once('exit', lastLines); // a thread that dies of a defect still says what led to it
  const metrics = new Metrics(task.metrics, shard);
  const closings = new ClosingsWriter(task.closings);
  const running = await start({
    shard,
    config,
    metrics,
    logger,
    node: task.node,
    tls: task.tls,
    policy: task.policy,
    ticketSecret: task.ticketSecret,
    siteCounts: task.siteCounts,
    pressure: task.pressure,
    onSessionClosed: (place) => closings.add(place),
    onBroken: (detail) => post({ tag: 'broken', detail }),
  });
  const stopGauges = keepGauges(running, metrics);
  post({ tag: 'ready', threadId });
  try {
    await obeyUntilDrained(port, running, task.handover, new Answers(running.queue, post));
  } finally {
    stopGauges();
    process.off('exit', lastLines);
    logger.flush();
    port.close();
  }
}

function obeyUntilDrained(
  port: MessagePort,
  shard: ShardDoors,
  handover: HandoverMemory,
  answers: Answers,
): Promise<void> {
  return new Promise((resolve, reject) => {
    port.on('message', (message: ToShard) => {
      switch (message.tag) {
        case 'connection':
          if (take(handover, message.accepted)) shard.accept(socketOf(message.accepted), message.door, message.place);
          return;
        case 'tls':
          shard.reloadTls(message.material);
          return;
        case 'policy':
          shard.reloadPolicy(message.policy);
          return;
        case 'drain':
          shard.drain(message.msMax).then(resolve, reject);
          return;
        case 'ask':
          answers.ask(message.question, message.request);
          return;
        case 'more':
          answers.more(message.question);
          return;
        case 'cancel':
          answers.cancel(message.question);
          return;
        case 'crash':
          // From a fresh stack, as a defect would: nothing catches it.
          setImmediate(() => {
            throw new AssertionFailure('asked to die');
          });
          return;
        default:
          unreachable(message);
      }
    });
  });
}

/** The probe is a timer; what it measures contains its own wait. */
const LOOP_PROBE_MS = 20;

/** Gauges, the journal's counters, and the beat by which main knows that this thread does not hang, once a second. */
function keepGauges(shard: ShardDoors, metrics: Metrics): () => void {
  const delay = monitorEventLoopDelay({ resolution: LOOP_PROBE_MS });
  delay.enable();
  let syncs = 0;
  let records = 0;
  const update = () => {
    metrics.count('shard_beats');
    const status = shard.status();
    metrics.set('sessions_open', status.sessions);
    metrics.set('queue_messages', status.messages);
    metrics.set('queue_ready', status.ready);
    metrics.set('queue_scheduled', status.scheduled);
    metrics.set('queue_held', status.held);
    metrics.set('queue_oldest_due_seconds', status.oldestDueSeconds);
    metrics.set('queue_stalled', status.stalled);
    metrics.set('sites', status.sites);
    metrics.set('connections_out_open', status.connectionsOut);
    metrics.set('event_loop_delay_seconds', Math.max(0, delay.max / 1e9 - LOOP_PROBE_MS / 1000));
    delay.reset();
    const { spool } = status;
    metrics.count('journal_syncs', spool.syncs - syncs);
    metrics.count('journal_records', spool.records - records);
    ({ syncs, records } = spool);
    metrics.set('journal_segments', spool.segments);
    metrics.set('journal_bytes', spool.bytesOnDisk);
    metrics.set('content_bytes_in_memory', spool.bytesInMemory);
    metrics.set('journal_broken', spool.broken ? 1 : 0);
  };
  const timer = setInterval(update, LIMITS.statusMs).unref();
  update();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}
