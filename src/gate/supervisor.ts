/**
 * Keeps one task running for each shard, for the life of the process, in Piscina's threads; hands connections to the
 * least loaded of those that are ready. A shard that dies is run again under its number; the others do not notice. One
 * that hangs (heartbeat.ts) is made to die.
 *
 * Piscina has `atomics: 'disabled'`, since its default freezes the event loop of a thread that has no new task.
 */
import { setFlagsFromString } from 'node:v8';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { unreachable } from '../base/assert.ts';
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Config } from '../config/options.ts';
import type { TlsMaterial } from '../config/tls_material.ts';
import type { Accepted } from '../net/accepted.ts';
import { socketOf } from '../net/accepted.ts';
import type { PolicyInForce } from '../relay/policy.ts';
import type { Door } from '../relay/shard.ts';
import { clearSiteCounts, siteCountsMemory } from '../relay/site_counts.ts';
import type { Logger } from '../telemetry/log.ts';
import type { MetricsMemory } from '../telemetry/metrics.ts';
import { clearGauges } from '../telemetry/metrics.ts';
import { ClosingsReader, closingsMemory } from './closings.ts';
import { Handover } from './handover.ts';
import { HeartbeatWatch, type Patience } from './heartbeat.ts';
import type { FromShard, ShardTask, ToShard } from './messages.ts';
import { ShardSlot } from './shard_slot.ts';

export type SupervisorSettings = {
  readonly config: Config;
  readonly node: string;
  readonly ticketSecret: Uint8Array;
  /** The worker's entry; shard.ts but in tests. */
  readonly workerFile: string;
  readonly metricsMemory: MetricsMemory;
  readonly pressureMemory: SharedArrayBuffer;
  readonly logger: Logger;
  readonly onLines: (lines: string) => void;
  /** A session is over, or went down with its shard. */
  readonly onSessionEnded: (clientKey: string) => void;
  readonly onRestart: () => void;
  readonly onHung: () => void;
  /** With a shard that hangs; that of config/limits.ts but in tests. */
  readonly patience: Patience | undefined;
};

/** Piscina's type of it takes the wrong overload of postMessage in @types/node 26. */
type TransferList = NonNullable<Parameters<Piscina['run']>[1]>['transferList'] & object;

export type Visitor = { readonly accepted: Accepted; readonly door: Door; readonly clientKey: string };

export class Supervisor {
  readonly slots: readonly ShardSlot[];
  readonly #settings: SupervisorSettings;
  readonly #pool: Piscina<ShardTask, void>;
  readonly #siteCounts: SharedArrayBuffer;
  readonly #tasks = new Map<number, Promise<void>>();
  readonly #waiting = new Map<number, NodeJS.Timeout>();
  readonly #watch: HeartbeatWatch<ShardSlot>;
  #tls: TlsMaterial | null;
  #policy: PolicyInForce | null = null;
  #phase: 'starting' | 'serving' | 'stopping' = 'starting';
  #startFailed: (error: Error) => void = () => {};
  #allReady: () => void = () => {};
  #turn = 0;

  constructor(settings: SupervisorSettings, tls: TlsMaterial | null) {
    const { workers } = settings.config;
    this.#settings = settings;
    this.#tls = tls;
    this.#siteCounts = siteCountsMemory(workers);
    this.slots = Array.from({ length: workers }, (_, shard) => new ShardSlot(shard));
    this.#watch = new HeartbeatWatch(
      this.slots,
      settings.metricsMemory,
      (slot) => this.#endHung(slot),
      settings.patience,
    );
    // Left to itself V8 grows a half-space from 1 MiB. What it promotes until then makes it mark the old heap over and
    // over, after every second start: a tenth more CPU a message, and pauses. Concerns heaps that are yet to come.
    setFlagsFromString(`--min-semi-space-size=${LIMITS.shardHalfSpaceMib}`);
    // By what a marking has cost V8 reckons how far the old heap may grow until the next one. On two busy cores that is
    // a few MiB, and the next one begins a quarter of a second later.
    setFlagsFromString(`--heap-growing-percent=${LIMITS.shardHeapGrowthPercent}`);
    this.#pool = new Piscina({
      filename: settings.workerFile,
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      recordTiming: false,
      resourceLimits: { maxYoungGenerationSizeMb: 3 * LIMITS.shardHalfSpaceMib },
    });
    // What a thread throws between the end of its task and its own; with a task under way, that rejects instead.
    this.#pool.on('error', ({ message, stack }: Error) =>
      settings.logger.log('shard-died', { detail: message, stack: stack ?? '' }),
    );
  }

  /**
   * Resolves when every shard is ready. Rejects when one dies before that: a journal that cannot be replayed is a
   * matter
   * for the operator, and so is a disk that is not there.
   */
  start(policy: PolicyInForce): Promise<void> {
    this.#policy = policy;
    return new Promise((resolve, reject) => {
      const tooLong = setTimeout(() => reject(new Error('shards are not ready in time')), LIMITS.startMsMax);
      this.#allReady = () => {
        clearTimeout(tooLong);
        resolve();
      };
      this.#startFailed = (error) => {
        clearTimeout(tooLong);
        reject(error);
      };
      for (const slot of this.slots) this.#run(slot);
    });
  }

  /**
   * Hands the connection over and counts its session; false when no shard can take it, and then it is still ours. While
   * Postern starts, no shard is used: until all journals are replayed it may still have to give up.
   */
  dispatch(visitor: Visitor): boolean {
    if (this.#phase !== 'serving') return false;
    const slot = this.#leastLoaded();
    if (slot === null || slot.port === null) return false;
    const { clientKey, accepted, door } = visitor;
    const place = slot.sessionBegun(clientKey);
    const message: ToShard = { tag: 'connection', accepted, door, place };
    slot.handover.give(accepted);
    try {
      slot.port.postMessage(message, typeof accepted === 'number' ? [] : [accepted]);
      return true;
    } catch {
      slot.sessionEnded(place); // the client has gone: its socket has no handle to transfer
      return false;
    }
  }

  hearClosings(): void {
    for (const slot of this.slots) {
      for (let key = slot.nextClosed(); key !== null; key = slot.nextClosed()) this.#settings.onSessionEnded(key);
    }
  }

  /** A shard is on its way back; else all that there are have failed journals. */
  get recovering(): boolean {
    return this.slots.some(({ state }) => state !== 'broken');
  }

  /** All shards, and those that are run later, have it for STARTTLS. */
  reloadTls(material: TlsMaterial): void {
    this.#tls = material;
    for (const slot of this.slots) slot.post({ tag: 'tls', material });
  }

  /** In force in all shards from the next transaction of each session on, and in those that are run later. */
  reloadPolicy(policy: PolicyInForce): void {
    this.#policy = policy;
    for (const slot of this.slots) slot.post({ tag: 'policy', policy });
  }

  crash(shard: number): void {
    this.slots[shard]?.post({ tag: 'crash' });
  }

  /** Resolves when every shard has drained and closed its journal, or shortly after `msMax`; then no thread is left. */
  async stop(msMax: number): Promise<void> {
    this.#phase = 'stopping';
    this.#watch.stop();
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    for (const slot of this.slots) {
      if (slot.state === 'waiting') slot.state = 'stopped';
      slot.post({ tag: 'drain', msMax });
    }
    let cut: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      cut = setTimeout(resolve, msMax + LIMITS.shutdownGraceMs);
    });
    await Promise.race([Promise.all(this.#tasks.values()), tooLong]);
    clearTimeout(cut);
    await this.#pool.destroy();
  }

  /** In turn among equals, so that a client that comes alone does not always meet the same shard. */
  #leastLoaded(): ShardSlot | null {
    let best: ShardSlot | null = null;
    const count = this.slots.length;
    for (let at = 0; at < count; at++) {
      const slot = this.slots[(this.#turn + at) % count]!;
      if (slot.state === 'ready' && (best === null || slot.sessions < best.sessions)) best = slot;
    }
    if (best !== null) this.#turn = (best.shard + 1) % count;
    return best;
  }

  #run(slot: ShardSlot): void {
    const { config, node, metricsMemory, pressureMemory } = this.#settings;
    const { port1, port2 } = new MessageChannel();
    slot.handover = new Handover();
    const closings = closingsMemory(config.connectionsMax);
    const task = {
      shard: slot.shard,
      node,
      config,
      tls: this.#tls,
      policy: this.#policy!,
      ticketSecret: this.#settings.ticketSecret,
      metrics: metricsMemory,
      siteCounts: this.#siteCounts,
      closings,
      pressure: pressureMemory,
      port: port2,
      handover: slot.handover.memory,
    };
    slot.state = 'starting';
    slot.port = port1;
    slot.closings = new ClosingsReader(closings);
    slot.startedMs = monotonicMs();
    port1.on('message', (message: FromShard) => this.#heard(slot, message));
    // Two handlers, not then().catch(): what `#ended` throws is our defect, and must not pass for a shard's death.
    const ended = this.#pool.run(task, { transferList: [port2] as unknown as TransferList }).then(
      () => this.#ended(slot, null),
      (error: Error) => this.#ended(slot, error),
    );
    this.#tasks.set(slot.shard, ended);
  }

  #heard(slot: ShardSlot, message: FromShard): void {
    switch (message.tag) {
      case 'ready':
        return this.#ready(slot, message.threadId);
      case 'broken':
        if (slot.state === 'ready' || slot.state === 'starting') slot.state = 'broken';
        this.#settings.logger.log('shard-broken', { shard: slot.shard, detail: message.detail });
        return;
      case 'lines':
        return this.#settings.onLines(message.lines);
      case 'answer':
        return slot.queue.heard(message);
      default:
        unreachable(message);
    }
  }

  #ready(slot: ShardSlot, threadId: number): void {
    slot.threadId = threadId;
    if (slot.state === 'starting') slot.state = 'ready';
    const ms = Math.round(monotonicMs() - slot.startedMs);
    this.#settings.logger.log('shard-ready', { shard: slot.shard, restarts: slot.restarts, ms });
    if (this.#phase !== 'starting' || this.slots.some(({ state }) => state === 'starting')) return;
    this.#phase = 'serving';
    this.#watch.start();
    this.#allReady();
  }

  /**
   * Its task rejects when the thread is gone, whatever it had asked of the disk done or given up, and not before: no
   * two threads are ever at one journal. Until then nothing is sent to it.
   */
  #endHung(slot: ShardSlot): void {
    this.hearClosings();
    slot.state = 'waiting';
    this.#settings.logger.log('shard-hung', { shard: slot.shard, sessions: slot.sessions });
    this.#settings.onHung();
    void this.#pool.threads.find(({ threadId }) => threadId === slot.threadId)?.terminate();
  }

  /** `error` is null after drain. What was on its way to a dead shard went down with its port, or is closed here. */
  #ended(slot: ShardSlot, error: Error | null): void {
    const { logger, metricsMemory, onSessionEnded } = this.#settings;
    this.#hearLastWords(slot);
    slot.queue.died();
    for (const descriptor of slot.handover.recall()) socketOf(descriptor).destroy();
    this.hearClosings();
    const lost = slot.releaseSessions();
    for (const clientKey of lost) onSessionEnded(clientKey);
    clearSiteCounts(this.#siteCounts, slot.shard);
    clearGauges(metricsMemory, slot.shard);
    if (error !== null) {
      const { message, stack } = error;
      logger.log('shard-died', { shard: slot.shard, sessions: lost.length, detail: message, stack: stack ?? '' });
    }
    slot.state = this.#phase === 'serving' ? 'waiting' : 'stopped';
    if (this.#phase === 'starting')
      this.#startFailed(error ?? new Error(`shard ${slot.shard} ended before it was ready`));
    if (this.#phase === 'serving') this.#runLater(slot);
  }

  /** The end of the task comes by another way than the shard's messages, and may overtake them. */
  #hearLastWords(slot: ShardSlot): void {
    const { port } = slot;
    if (port === null) return;
    port.removeAllListeners('message');
    for (let last = receiveMessageOnPort(port); last !== undefined; last = receiveMessageOnPort(port))
      this.#heard(slot, last.message as FromShard);
    port.close();
    slot.port = null;
  }

  #runLater(slot: ShardSlot): void {
    const timer = setTimeout(() => {
      this.#waiting.delete(slot.shard);
      slot.restarts++;
      this.#settings.onRestart();
      this.#run(slot);
    }, slot.restartMs(monotonicMs()));
    this.#waiting.set(slot.shard, timer);
  }
}
