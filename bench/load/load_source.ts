/**
 * The load source: lanes that send, when they do, and what became of it.
 *
 * Closed loop: each of the connections sends as fast as it is answered. Open loop (`rate`, `sessionsPerSecond`):
 * messages or sessions are due at even intervals, whether or not the peer keeps up; latency counts from then, so a
 * stalled peer is not flattered (coordinated omission). Nothing is sent twice: a message without its 250 counts as not
 * accepted, and `acknowledgedNumbers` has those of the others.
 */
import { randomInt } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { Bitmap } from './bitmap.ts';
import { emlFolder } from './eml_folder.ts';
import { type Assignment, type LaneOwner, type LaneSettings, PHASES, type Phase } from './lane_owner.ts';
import { type Latency, LatencyHistogram } from './latency.ts';
import { Misbehaving } from './misbehaving.ts';
import { LettersLoad, type Load, PatternLoad } from './outgoing.ts';
import { SampleLoad } from './sample_load.ts';
import { Schedule } from './schedule.ts';
import { Lane } from './source_lane.ts';
import type { Glance, Progress, SourceOptions, SourceReport } from './source_settings.ts';
import { nowUs } from './stamp.ts';
import { manySizes, oneSize } from './text_sizes.ts';

const TICK_MS = 1;
const SWEEP_MS = 250;
const RECONNECT_MS = 20;
const OVERDUE_RECORDS_MAX = 100_000;

/** What is due by the schedule, or nothing is (closed loop). */
type Loop = 'closed' | 'messages' | 'sessions';

export class Source implements LaneOwner<Lane> {
  readonly settings: LaneSettings;
  readonly phases: Readonly<Record<Phase, LatencyHistogram>>;
  /** The stamp's run id. */
  readonly id: number;
  readonly #load: Load;
  readonly #connections: number;
  readonly #loop: Loop;
  /** Of messages or sessions; in a closed loop with a ramp, of the lanes' beginnings. */
  readonly #schedule: Schedule | undefined;
  readonly #seconds: number;
  readonly #silenceUsMax: number;
  readonly #giveUpUs: number;
  readonly #misbehaving: Misbehaving;
  readonly #acknowledged = new Bitmap();
  readonly #failed: Record<string, number> = {};
  readonly #recipientsRefused: Record<string, number> = {};
  readonly #connectFailed: Record<string, number> = {};
  readonly #lanes = new Set<Lane>();
  #parked: Lane[] = [];
  #attempted = 0;
  /** Sessions, or lanes of a ramp, that have begun. */
  #begun = 0;
  #errors = 0;
  #handshakes = 0;
  #resumed = 0;
  #startUs = 0;
  #endUs = Number.POSITIVE_INFINITY;
  #lastAcknowledgedUs = 0;
  #lastAliveUs = 0;
  #lastConnectFailed = false;
  #gaveUp = false;
  #finish: () => void = () => undefined;

  /** `load` replaces messages, bytes, recipients, from and to. */
  constructor(options: SourceOptions, load?: Load) {
    const { connections = 1, sessionsPerSecond, rate, rampSeconds = 0 } = options;
    this.#loop = rate !== undefined ? 'messages' : sessionsPerSecond !== undefined ? 'sessions' : 'closed';
    this.settings = settingsOf(options, this.#loop === 'sessions' ? 1 : Number.POSITIVE_INFINITY);
    this.phases = Object.fromEntries(PHASES.map((phase) => [phase, new LatencyHistogram()])) as Record<
      Phase,
      LatencyHistogram
    >;
    this.id = options.run ?? randomInt(2 ** 32);
    this.#connections = connections;
    this.#load = load ?? loadOf(this.id, options);
    const perSecond = rate ?? sessionsPerSecond;
    if (perSecond !== undefined) this.#schedule = new Schedule(perSecond, rampSeconds);
    else this.#schedule = rampSeconds > 0 ? new Schedule(connections / rampSeconds) : undefined;
    this.#seconds = options.seconds ?? Number.POSITIVE_INFINITY;
    this.#silenceUsMax = (options.silenceSecondsMax ?? 60) * 1e6;
    this.#giveUpUs = (options.giveUpSeconds ?? 30) * 1e6;
    const { slow = 0, misbehaving: rogue = 0, slowByteMs = 1000 } = options;
    this.#misbehaving = new Misbehaving({ host: this.settings.host, port: options.port, slow, rogue, slowByteMs });
    if (this.#load.count === Number.POSITIVE_INFINITY && options.seconds === undefined)
      throw new Error('messages or seconds?');
  }

  /** Resolves when every message has its answer, or no more can be had. Called once. */
  async run(): Promise<SourceReport> {
    const cpuBefore = process.cpuUsage();
    this.#startUs = this.#lastAliveUs = nowUs();
    this.#endUs = this.#startUs + this.#seconds * 1e6;
    for (let index = 0; index < this.#connections; index++) this.#lanes.add(new Lane(this, index));
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    const tick = this.#schedule === undefined ? undefined : setInterval(() => this.#wake(), TICK_MS);
    this.#misbehaving.start();
    if (this.#schedule === undefined) for (const lane of this.#lanes) lane.run();
    else for (const lane of [...this.#lanes].reverse()) this.#park(lane);
    await finished;
    clearInterval(sweep);
    clearInterval(tick);
    this.#misbehaving.stop();
    const cpu = process.cpuUsage(cpuBefore);
    return this.#report((cpu.user + cpu.system) / 1000);
  }

  /** Starts no more messages; `run` resolves when those under way have their answers. */
  stop(): void {
    this.#endUs = Math.min(this.#endUs, nowUs());
  }

  get acknowledgedNumbers(): Bitmap {
    return this.#acknowledged;
  }

  progress(): Progress {
    return { attempted: this.#attempted, acknowledged: this.#acknowledged.size };
  }

  /** For a live display; whoever looks takes the latencies since the last look with him. */
  glance(): Glance {
    return {
      ...this.progress(),
      errors: this.#errors,
      connectionsOpen: [...this.#lanes].filter((lane) => !lane.closed).length,
      message: this.phases.message.lap(),
    };
  }

  wanted(): boolean {
    return this.#attempted < this.#load.count && !this.#gaveUp && nowUs() < this.#endUs;
  }

  take(): Assignment | undefined {
    if (!this.wanted()) return undefined;
    if (this.#loop !== 'messages') return { message: this.#load.at(this.#attempted++), dueUs: 0 };
    const dueUs = this.#startUs + this.#schedule!.dueUs(this.#attempted);
    if (dueUs > nowUs()) return undefined;
    return { message: this.#load.at(this.#attempted++), dueUs };
  }

  acknowledged(number: number): void {
    this.#acknowledged.add(number);
    this.#lastAcknowledgedUs = this.#lastAliveUs = nowUs();
  }

  failed(reason: string): void {
    this.#count(this.#failed, reason);
  }

  recipientRefused(code: number): void {
    this.#lastAliveUs = nowUs();
    this.#count(this.#recipientsRefused, `${code}`);
  }

  connectFailed(reason: string): void {
    this.#count(this.#connectFailed, reason);
    this.#lastConnectFailed = true;
  }

  secured(resumed: boolean): void {
    this.#handshakes++;
    if (resumed) this.#resumed++;
  }

  parked(lane: Lane): void {
    const afterFailure = this.#lastConnectFailed;
    this.#lastConnectFailed = false;
    if (lane.waiting) return; // its connection ended while it waited for work
    if (!this.wanted()) return this.#retire(lane);
    if (afterFailure) setTimeout(() => this.#resume(lane), RECONNECT_MS);
    else this.#resume(lane);
  }

  #count(by: Record<string, number>, reason: string): void {
    this.#errors++;
    by[reason] = (by[reason] ?? 0) + 1;
  }

  #park(lane: Lane): void {
    lane.waiting = true;
    this.#parked.push(lane);
  }

  #resume(lane: Lane): void {
    if (this.#loop === 'closed' && this.wanted()) lane.run();
    else this.#park(lane);
    if (!this.wanted()) this.#wake();
  }

  #retire(lane: Lane): void {
    if (lane.closed) this.#lanes.delete(lane);
    else lane.run(); // finds nothing to do and says QUIT
    if (this.#lanes.size === 0) this.#finish();
  }

  /** As many lanes go to work as messages or sessions are due. At the end all do, to close. */
  #wake(): void {
    if (!this.wanted()) {
      for (const lane of this.#parked.splice(0)) {
        lane.waiting = false;
        this.#retire(lane);
      }
      return;
    }
    if (this.#schedule === undefined) return;
    const dueBy = this.#schedule.dueBy(nowUs() - this.#startUs);
    const perMessage = this.#loop === 'messages';
    let due = dueBy - (perMessage ? this.#attempted : this.#begun);
    if (perMessage) for (const lane of this.#lanes) if (lane.opening) due--;
    for (; due > 0; due--) {
      const lane = this.#parked.pop();
      if (lane === undefined) return;
      lane.waiting = false;
      lane.run(this.#loop === 'sessions' ? this.#startUs + this.#schedule.dueUs(this.#begun) : 0);
      this.#begun++;
    }
  }

  #sweep(): void {
    const now = nowUs();
    if (now - this.#lastAliveUs > this.#giveUpUs && [...this.#lanes].every((lane) => lane.closed || lane.opening)) {
      this.#gaveUp ||= this.wanted();
      this.stop();
      for (const lane of this.#lanes) lane.cut();
    }
    for (const lane of this.#lanes) lane.cutIfSilent(now - this.#silenceUsMax);
    if (this.wanted()) return;
    // Who answers a byte now and then is never silent, and does not keep the run from its end either.
    if (now > this.#endUs + this.#silenceUsMax) for (const lane of this.#lanes) lane.cut();
    for (const lane of this.#lanes) lane.hurry();
    this.#wake();
  }

  /** What was due and did not begin, with what it had waited when the time was up. */
  #overdue(): number {
    if (this.#schedule === undefined || this.#loop === 'closed' || this.#endUs === Number.POSITIVE_INFINITY) return 0;
    const perMessage = this.#loop === 'messages';
    const begun = perMessage ? this.#attempted : this.#begun;
    const dueBy = this.#schedule.dueBy(this.#endUs - this.#startUs);
    const overdue = perMessage ? Math.min(dueBy, this.#load.count) - begun : dueBy - begun;
    if (overdue <= 0 || this.#attempted >= this.#load.count) return 0;
    const histogram = this.phases[perMessage ? 'message' : 'session'];
    const step = Math.ceil(overdue / OVERDUE_RECORDS_MAX);
    for (let index = begun; index < begun + overdue; index += step)
      histogram.record(
        this.#endUs - this.#startUs - this.#schedule.dueUs(index),
        Math.min(step, begun + overdue - index),
      );
    return overdue;
  }

  #report(cpuMs: number): SourceReport {
    const seconds = (this.#lastAcknowledgedUs - this.#startUs) / 1e6;
    const notStarted = this.#overdue();
    return {
      run: this.id,
      attempted: this.#attempted,
      acknowledged: this.#acknowledged.size,
      failed: this.#failed,
      recipientsRefused: this.#recipientsRefused,
      connectFailed: this.#connectFailed,
      notStarted,
      gaveUp: this.#gaveUp,
      tls: { handshakes: this.#handshakes, resumed: this.#resumed },
      misbehaving: this.#misbehaving.counts(),
      firstConnectUs: this.#startUs,
      lastAcknowledgedUs: this.#lastAcknowledgedUs,
      perSecond: seconds > 0 ? this.#acknowledged.size / seconds : 0,
      cpuMs,
      phases: Object.fromEntries(PHASES.map((phase) => [phase, this.phases[phase].summary()])) as Record<
        Phase,
        Latency
      >,
    };
  }
}

function settingsOf(options: SourceOptions, messagesPerConnection: number): LaneSettings {
  const tls = options.starttls === true || options.implicitTls === true;
  return {
    host: options.host ?? '127.0.0.1',
    port: options.port,
    localAddresses: options.localAddresses ?? [],
    hello: options.hello ?? 'source.example',
    lmtp: options.lmtp ?? false,
    tls: tls
      ? {
          context: createSecureContext(),
          implicit: options.implicitTls === true,
          resume: options.resumeTls ?? false,
        }
      : undefined,
    auth: options.auth,
    pipelining: options.pipelining ?? false,
    ahead: (options.ahead ?? false) && !options.thinkMs,
    bdat: options.bdat ?? false,
    chunkBytes: options.chunkBytes ?? Number.POSITIVE_INFINITY,
    messagesPerConnection: options.messagesPerConnection ?? messagesPerConnection,
    thinkMs: options.thinkMs ?? 0,
  };
}

function loadOf(run: number, options: SourceOptions): Load {
  const { messages: count = Number.POSITIVE_INFINITY, bytes = 4096, sizes, emlFolder: folder } = options;
  const { samples, letters, to = 'user%r@example.org' } = options;
  if (samples !== undefined) return new SampleLoad(run, count, samples);
  if (letters !== undefined) return new LettersLoad(run, count, letters, to.replaceAll('%r', '0'));
  const addressing = {
    count,
    from: options.from ?? 'bench@source.example',
    to,
    recipients: options.recipients ?? 1,
  };
  const texts = folder !== undefined ? emlFolder(folder) : sizes !== undefined ? manySizes(run, sizes) : oneSize(bytes);
  return new PatternLoad(run, addressing, texts.texts, texts.choose);
}
