/**
 * A long outage of the inside server, from its first minute to its end:
 *
 *   relay (site up) ─► site down: fill ─► rest ─► SIGTERM, start ─► SIGKILL, start ─► site up: drain ─► relay
 *
 * The site has an address of its own on loopback: a client that dials a closed port of the address that it dials from
 * may be given that very port, and meet itself.
 */
import { LIMITS } from '../../src/config/limits.ts';
import { type Bench, deliveryOf, faultsOf, LOAD_ENVIRONMENT, type Outcome, pause, type Scenario } from '../bench.ts';
import { Bitmap } from '../load/bitmap.ts';
import type { Child } from '../load/child.ts';
import type { SinkApi } from '../load/sink.ts';
import type { SourceApi, SourceOptions, SourceReport } from '../load/source.ts';
import { nowUs } from '../load/stamp.ts';
import { courseOf, tenthsOf } from '../measure/course.ts';
import { type MetricsPage, readMetrics } from '../measure/metrics.ts';
import { peakRssBytes, rssBytes, treeCpuMs } from '../measure/processes.ts';
import { inPlaceOf, type Postern, type PosternOptions, startPostern } from '../peers/postern.ts';
import { digits } from '../report.ts';
import {
  type Drain,
  type Outage,
  outageFaults,
  outageHeadlines,
  outageTables,
  type Relayed,
  type Rest,
  type Restart,
} from './outage_report.ts';

const MESSAGES = 1_000_000;
const QUICK_MESSAGES = 5_000;
const BYTES = 2048;
/** What relay-small sends. A ratio to it flatters by the difference in size; one to BYTES does not. */
const RELAY_SMALL_BYTES = 4096;
const RELAYED = 20_000;
const QUICK_RELAYED = 1_000;
const SITE_HOST = '127.0.0.2';
/** Each message has its own sender and recipient: whatever is kept for one of these is kept a million times. */
const LOAD = {
  connections: 50,
  messagesPerConnection: 500,
  pipelining: true,
  from: 'sender%n@source.example',
  to: 'user%n@example.org',
} as const;
/** New messages as soon as a process says that it is ready. */
const PROOF = { connections: 1, messages: 10, bytes: BYTES, pipelining: true } as const;
/** New mail beside the drain. */
const FRESH = { connections: 4, messagesPerConnection: 1, rate: 2, bytes: BYTES } as const;
/** The queue is full, and the restarts are over, before anything is tried again: at this rate or more. */
const FILL_PER_SECOND_MIN = 1000;
const RETRY_SECONDS_MIN = 60;
const SETTLE_MS = 3_000;
const REST_MS = 5_000;
/** To have the figure, however bad it is. */
const READY_MS_MAX = 600_000;
/** After the longest wait for a next attempt, with its jitter, nothing more will come. */
const STALL_MS_MIN = 60_000;
/** Nor from an empty queue. */
const EMPTY_STALL_MS = 10_000;
const SIGNALS = ['SIGTERM', 'SIGKILL'] as const;

export const deferredMillion: Scenario = {
  name: 'deferred-million',
  question: 'is a long outage of the inside server a boring day, with a million messages in the queue?',
  load:
    `${MESSAGES} messages of ${BYTES} bytes (or --messages), each with its own sender and recipient, 50 connections ` +
    'reused, for a site that is down; two restarts; then the site is up, and two new messages a second come beside ' +
    'the queue',
  bound:
    'accepting: CPU, as in relay-small, with a deferral instead of a delivery. Draining: CPU, and the disk for what ' +
    'is read back. It would surprise: a last tenth slower than 80 % of the first, more than 600 MB, more than 10 s ' +
    'until ready, any attempt while the queue rests',
  checks:
    'every message that was answered 250 is at the sink, its CRC-32 as sent, those after the restarts as well; the ' +
    'queue held all of them, and nothing was tried while it rested',
  messages: MESSAGES,
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const messages = bench.settings.messages ?? (bench.settings.quick ? QUICK_MESSAGES : MESSAGES);
  const day = new Day(bench, messages);
  const outage = await day.run();
  return {
    headlines: [
      ...outageHeadlines(outage),
      `${day.acknowledged} messages answered 250: ${day.lost} lost, ${day.altered} altered`,
    ],
    tables: outageTables(outage),
    failures: [...day.failures, ...outageFaults(outage)],
    figures: outage,
  };
}

/** Messages of one run of the source that wait for the site. */
type Waiting = { readonly name: string; readonly report: SourceReport; readonly acknowledged: Bitmap };

class Day {
  readonly failures: string[] = [];
  acknowledged = 0;
  lost = 0;
  altered = 0;
  readonly #bench: Bench;
  readonly #messages: number;
  readonly #retrySeconds: number;
  readonly #source: Child<SourceApi>;
  readonly #waiting: Waiting[] = [];
  #site: Child<SinkApi>;
  #sitePort = 0;
  #settings: PosternOptions = { folder: '', environment: {} };
  #postern: Postern | undefined;

  constructor(bench: Bench, messages: number) {
    this.#bench = bench;
    this.#messages = messages;
    this.#retrySeconds = Math.max(RETRY_SECONDS_MIN, Math.ceil(messages / FILL_PER_SECOND_MIN));
    this.#source = bench.source();
    this.#site = bench.sink();
  }

  async run(): Promise<Outage> {
    const idleBytes = await this.#start();
    const before = await this.#relay('before');
    await this.#site.stop();
    const filling = await this.#fill();
    const rest = await this.#rest();
    const restarts: Restart[] = [];
    for (const signal of SIGNALS) restarts.push(await this.#restart(signal));
    const drain = await this.#drain();
    const relayed = [...before, ...(await this.#relay('after'))];
    const messages = this.#messages;
    const retrySeconds = this.#retrySeconds;
    return { messages, bytes: BYTES, retrySeconds, idleBytes, filling, rest, restarts, drain, relayed };
  }

  get #process(): Postern {
    if (this.#postern === undefined) throw new Error('Postern has not been started');
    return this.#postern;
  }

  /** Resident memory of the idle process. */
  async #start(): Promise<number> {
    const { port } = await this.#site.call('listen', { host: SITE_HOST });
    this.#sitePort = port;
    const environment = {
      ...LOAD_ENVIRONMENT,
      INSIDE_ROUTE: `smtp://${SITE_HOST}:${port}`,
      RETRY_SECONDS: `${this.#retrySeconds}`,
    };
    const folder = this.#bench.folder('postern');
    this.#postern = this.#bench.started(await startPostern({ folder, environment }));
    this.#settings = { ...inPlaceOf(this.#postern, { folder, environment }), readyMsMax: READY_MS_MAX };
    await pause(SETTLE_MS);
    return rssBytes(this.#postern.pid);
  }

  /** The site is up: what this process, or its successor, relays at with connections reused. */
  async #relay(when: Relayed['when']): Promise<Relayed[]> {
    const messages = this.#bench.settings.quick ? QUICK_RELAYED : RELAYED;
    const relayed: Relayed[] = [];
    await this.#relayOnce(Math.ceil(messages / 10), BYTES);
    for (const bytes of [BYTES, RELAY_SMALL_BYTES])
      relayed.push({ when, bytes, perSecond: await this.#relayOnce(messages, bytes) });
    return relayed;
  }

  async #relayOnce(messages: number, bytes: number): Promise<number> {
    const { report, acknowledged } = await this.#send({ ...LOAD, messages, bytes });
    const delivered = await deliveryOf(report.run, acknowledged, this.#site, this.#stallMsMax);
    this.failures.push(...faultsOf(`relaying ${bytes} bytes`, report, delivered));
    return delivered.counts.distinct / ((delivered.counts.lastUs - report.firstConnectUs) / 1e6);
  }

  /** To the outside listener, by the source that has no other load. */
  async #send(load: Omit<SourceOptions, 'port'>): Promise<Omit<Waiting, 'name'>> {
    const report = await this.#source.call('run', { ...load, port: this.#process.outside.port });
    return { report, acknowledged: new Bitmap(await this.#source.call('acknowledged', undefined)) };
  }

  async #fill(): Promise<Outage['filling']> {
    const sent = this.#send({ ...LOAD, messages: this.#messages, bytes: BYTES });
    const progress = async (): Promise<number> => (await this.#source.call('progress', undefined)).acknowledged;
    const tenths = tenthsOf(await courseOf(this.#process.pid, progress, sent));
    const filled = { name: 'filling', ...(await sent) };
    this.#waiting.push(filled);
    const { perSecond, acknowledged } = filled.report;
    this.#bench.say(`  the queue has ${acknowledged} messages, ${digits(perSecond)}/s`);
    return { perSecond, tenths };
  }

  async #rest(): Promise<Rest> {
    const { pid } = this.#process;
    await pause(SETTLE_MS);
    const before = await this.#metrics();
    const cpuBefore = treeCpuMs(pid);
    await pause(REST_MS);
    const after = await this.#metrics();
    const attempts = 'delivery_attempts_total';
    return {
      rssBytes: rssBytes(pid),
      peakBytes: peakRssBytes(pid),
      journalBytes: after.sum('journal_bytes'),
      queued: after.sum('queue_messages'),
      attempts: after.sum(attempts) - before.sum(attempts),
      cpuMsPerSecond: (treeCpuMs(pid) - cpuBefore) / (REST_MS / 1000),
    };
  }

  #metrics(): Promise<MetricsPage> {
    return readMetrics(this.#process.admin);
  }

  async #restart(signal: Restart['signal']): Promise<Restart> {
    const startMs = performance.now();
    if (signal === 'SIGKILL') await this.#process.kill();
    else {
      const code = await this.#process.stop();
      if (code !== 0) this.failures.push(`exit code ${code} after SIGTERM`);
    }
    const endMs = performance.now() - startMs;
    const postern = this.#bench.started(await startPostern(this.#settings));
    this.#postern = postern;
    const proof = { name: `new after ${signal}`, ...(await this.#send(PROOF)) };
    this.#waiting.push(proof);
    this.#bench.say(`  ready again ${digits(postern.readyMs)} ms after ${signal}`);
    await pause(SETTLE_MS);
    return {
      signal,
      endMs,
      readyMs: postern.readyMs,
      acceptedMs: proof.report.phases.message.maxUs / 1000,
      queued: (await this.#metrics()).sum('queue_messages'),
      rssBytes: rssBytes(postern.pid),
      peakBytes: peakRssBytes(postern.pid),
    };
  }

  async #drain(): Promise<Drain> {
    const { pid, outside } = this.#process;
    this.#site = this.#bench.sink();
    const site = this.#site;
    await site.call('listen', { host: SITE_HOST, port: this.#sitePort });
    const upUs = nowUs();
    const source = this.#bench.source();
    const seconds = Math.ceil(this.#stallMsMax / 1000);
    const fresh = source.call('run', { ...FRESH, port: outside.port, seconds });
    const queue = this.#waiting[0]!.report.run;
    const drained = this.#arrived(this.#waiting);
    const progress = async (): Promise<number> => (await site.call('counts', queue)).distinct;
    const tenths = tenthsOf(await courseOf(pid, progress, drained));
    let duplicates = await drained;

    await source.call('stop', undefined);
    const report = await fresh;
    const acknowledged = new Bitmap(await source.call('acknowledged', undefined));
    duplicates += await this.#arrived([{ name: 'new beside the drain', report, acknowledged }]);
    const { runs } = await site.call('stats', undefined);
    const latency = runs.find((one) => one.run === report.run)?.endToEnd;
    const { firstUs, lastUs, distinct } = await site.call('counts', queue);
    await pause(SETTLE_MS);
    return {
      firstMs: (firstUs - upUs) / 1000,
      perSecond: distinct / ((lastUs - firstUs) / 1e6),
      tenths,
      duplicates,
      freshP50Ms: (latency?.p50Us ?? Number.NaN) / 1000,
      freshP99Ms: (latency?.p99Us ?? Number.NaN) / 1000,
      peakBytes: peakRssBytes(pid),
      journalBytes: (await this.#metrics()).sum('journal_bytes'),
    };
  }

  /** Waits for what waits; how many came twice. */
  async #arrived(all: readonly Waiting[]): Promise<number> {
    let duplicates = 0;
    await this.#emptied();
    for (const { name, report, acknowledged } of all) {
      const delivered = await deliveryOf(report.run, acknowledged, this.#site, EMPTY_STALL_MS);
      this.failures.push(...faultsOf(name, report, delivered));
      this.acknowledged += acknowledged.size;
      this.lost += delivered.lost.length;
      this.altered += delivered.counts.altered;
      duplicates += delivered.counts.duplicates;
    }
    return duplicates;
  }

  /** Or it has not changed for so long that it never will. */
  async #emptied(): Promise<void> {
    let queued = Number.NaN;
    for (let changedMs = performance.now(); performance.now() - changedMs < this.#stallMsMax; ) {
      await pause(2 * LIMITS.statusMs); // the gauge is as old as statusMs
      const before = queued;
      queued = (await this.#metrics()).sum('queue_messages');
      if (queued === 0) return;
      if (queued !== before) changedMs = performance.now();
    }
  }

  get #stallMsMax(): number {
    return this.#retrySeconds * 1200 + STALL_MS_MIN;
  }
}
