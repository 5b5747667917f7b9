/**
 * The SMTP load source. A module (`new Source(options).run()`), and a program:
 *
 *   node bench/load/source.ts --port 2525 [--host 127.0.0.1] [--connections 50] [--messages 10000 | --seconds 10]
 *        [--messages-per-connection 1] [--rate 2000] [--recipients 1] [--bytes 4096] [--pipelining] [--bdat]
 *        [--starttls] [--from bench@source.example] [--to user%r@example.org] [--json]
 *
 * Closed loop: each of the connections sends as fast as it is answered. Open loop (`rate`): messages are due at even
 * intervals, whether or not the peer keeps up; latency counts from then, so a stalled peer is not flattered
 * (coordinated omission). Nothing is sent twice: a message without its 250 counts as not accepted, and `acknowledged`
 * has the numbers of the others. As a forked child it takes the calls of `SourceApi` (see child.ts).
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Bitmap } from './bitmap.ts';
import { CHILD_FLAG, serve } from './child.ts';
import { type Latency, LatencyHistogram } from './latency.ts';
import { type Correspondents, plainText } from './messages.ts';
import { type Load, SameLoad } from './outgoing.ts';
import { SampleLoad } from './sample_load.ts';
import { type Assignment, Lane, type LaneOwner, type LaneSettings, PHASES, type Phase } from './source_lane.ts';
import { nowUs, STAMP_BYTES } from './stamp.ts';

export type SourceOptions = {
  readonly host?: string;
  readonly port: number;
  /** The stamp's run id, 32 bits; drawn where not given. */
  readonly run?: number;
  readonly connections?: number;
  /** How many, unless `load` says it; with `seconds` alone there is no bound. */
  readonly messages?: number;
  readonly seconds?: number;
  /** 1: a connection per message. */
  readonly messagesPerConnection?: number;
  /** Messages per second, evenly spread (open loop). */
  readonly rate?: number;
  readonly recipients?: number;
  /** Content of a message, stamp and header included. */
  readonly bytes?: number;
  readonly pipelining?: boolean;
  readonly bdat?: boolean;
  readonly starttls?: boolean;
  readonly from?: string;
  readonly to?: string;
  /** Mail of messages.ts between these, no two alike; replaces bytes, recipients, from and to. */
  readonly samples?: Correspondents;
  readonly hello?: string;
  readonly localAddresses?: readonly string[];
  /** A connection that hears nothing for so long is cut. */
  readonly silenceSecondsMax?: number;
  /** Ends the run when no connection could be made for so long. */
  readonly giveUpSeconds?: number;
};

export type SourceReport = {
  readonly run: number;
  readonly attempted: number;
  readonly acknowledged: number;
  /** Messages without a 250, by reply code or system's error. */
  readonly failed: Readonly<Record<string, number>>;
  readonly recipientsRefused: Readonly<Record<string, number>>;
  /** Connections that ended before they could carry a message, by reason. */
  readonly connectFailed: Readonly<Record<string, number>>;
  readonly gaveUp: boolean;
  /** Monotonic clock of the machine: `nowUs` of stamp.ts. */
  readonly firstConnectUs: number;
  readonly lastAcknowledgedUs: number;
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly phases: Readonly<Record<Phase, Latency>>;
};

export type Progress = { readonly attempted: number; readonly acknowledged: number };

const TICK_MS = 1;
const SWEEP_MS = 250;
const RECONNECT_MS = 20;

export class Source implements LaneOwner {
  readonly settings: LaneSettings;
  readonly phases: Readonly<Record<Phase, LatencyHistogram>>;
  /** The stamp's run id. */
  readonly id: number;
  readonly #load: Load;
  readonly #connections: number;
  readonly #intervalUs: number;
  readonly #seconds: number;
  readonly #silenceUsMax: number;
  readonly #giveUpUs: number;
  readonly #acknowledged = new Bitmap();
  readonly #failed: Record<string, number> = {};
  readonly #recipientsRefused: Record<string, number> = {};
  readonly #connectFailed: Record<string, number> = {};
  #lanes: Lane[] = [];
  #parked: Lane[] = [];
  #attempted = 0;
  #startUs = 0;
  #endUs = Number.POSITIVE_INFINITY;
  #lastAcknowledgedUs = 0;
  #lastAliveUs = 0;
  #lastConnectFailed = false;
  #gaveUp = false;
  #finish: () => void = () => undefined;

  /** `load` replaces messages, bytes, recipients, from and to. */
  constructor(options: SourceOptions, load?: Load) {
    const { host = '127.0.0.1', port, connections = 1, messagesPerConnection = Number.POSITIVE_INFINITY } = options;
    this.settings = {
      host,
      port,
      localAddresses: options.localAddresses ?? [],
      hello: options.hello ?? 'source.example',
      pipelining: options.pipelining ?? false,
      bdat: options.bdat ?? false,
      starttls: options.starttls ?? false,
      messagesPerConnection,
    };
    this.phases = Object.fromEntries(PHASES.map((phase) => [phase, new LatencyHistogram()])) as Record<
      Phase,
      LatencyHistogram
    >;
    this.id = options.run ?? randomInt(2 ** 32);
    this.#connections = connections;
    this.#load = load ?? loadOf(this.id, options);
    this.#intervalUs = options.rate === undefined ? 0 : 1e6 / options.rate;
    this.#seconds = options.seconds ?? Number.POSITIVE_INFINITY;
    this.#silenceUsMax = (options.silenceSecondsMax ?? 60) * 1e6;
    this.#giveUpUs = (options.giveUpSeconds ?? 30) * 1e6;
    if (this.#load.count === Number.POSITIVE_INFINITY && options.seconds === undefined)
      throw new Error('messages or seconds?');
  }

  /** Resolves when every message has its answer, or no more can be had. Called once. */
  async run(): Promise<SourceReport> {
    const cpuBefore = process.cpuUsage();
    this.#startUs = this.#lastAliveUs = nowUs();
    this.#endUs = this.#startUs + this.#seconds * 1e6;
    this.#lanes = Array.from({ length: this.#connections }, (_, index) => new Lane(this, index));
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    const tick = this.#intervalUs === 0 ? undefined : setInterval(() => this.#wake(), TICK_MS);
    if (this.#intervalUs === 0) for (const lane of this.#lanes) lane.run();
    else this.#parked = [...this.#lanes];
    await finished;
    clearInterval(sweep);
    clearInterval(tick);
    const cpu = process.cpuUsage(cpuBefore);
    return this.#report((cpu.user + cpu.system) / 1000);
  }

  /** Starts no more messages; `run` resolves when those under way have their answers. */
  stop(): void {
    this.#endUs = 0;
  }

  get acknowledgedNumbers(): Bitmap {
    return this.#acknowledged;
  }

  progress(): Progress {
    return { attempted: this.#attempted, acknowledged: this.#acknowledged.size };
  }

  wanted(): boolean {
    return this.#attempted < this.#load.count && !this.#gaveUp && nowUs() < this.#endUs;
  }

  take(): Assignment | undefined {
    if (!this.wanted()) return undefined;
    const dueUs = this.#intervalUs === 0 ? 0 : this.#startUs + this.#attempted * this.#intervalUs;
    if (dueUs > nowUs()) return undefined;
    return { message: this.#load.at(this.#attempted++), dueUs };
  }

  acknowledged(number: number): void {
    this.#acknowledged.add(number);
    this.#lastAcknowledgedUs = this.#lastAliveUs = nowUs();
  }

  failed(reason: string): void {
    this.#failed[reason] = (this.#failed[reason] ?? 0) + 1;
  }

  recipientRefused(code: number): void {
    this.#lastAliveUs = nowUs();
    this.#recipientsRefused[code] = (this.#recipientsRefused[code] ?? 0) + 1;
  }

  connectFailed(reason: string): void {
    this.#connectFailed[reason] = (this.#connectFailed[reason] ?? 0) + 1;
    this.#lastConnectFailed = true;
  }

  parked(lane: Lane): void {
    const afterFailure = this.#lastConnectFailed;
    this.#lastConnectFailed = false;
    if (this.#parked.includes(lane)) return; // its connection ended while it waited for work
    if (!this.wanted()) return this.#retire(lane);
    if (afterFailure) setTimeout(() => this.#resume(lane), RECONNECT_MS);
    else this.#resume(lane);
  }

  #resume(lane: Lane): void {
    if (this.#intervalUs === 0 && this.wanted()) lane.run();
    else this.#parked.push(lane);
    if (!this.wanted()) this.#wake();
  }

  #retire(lane: Lane): void {
    if (lane.closed) this.#lanes = this.#lanes.filter((other) => other !== lane);
    else lane.run(); // finds nothing to do and says QUIT
    if (this.#lanes.length === 0) this.#finish();
  }

  /** Open loop: as many lanes go to work as messages are due. At the end all do, to close. */
  #wake(): void {
    if (!this.wanted()) {
      for (const lane of this.#parked.splice(0)) this.#retire(lane);
      return;
    }
    let due = Math.floor((nowUs() - this.#startUs) / this.#intervalUs) + 1 - this.#attempted;
    for (const lane of this.#lanes) if (lane.opening) due--;
    for (; due > 0; due--) {
      const lane = this.#parked.pop();
      if (lane === undefined) return;
      lane.run();
    }
  }

  #sweep(): void {
    const now = nowUs();
    if (now - this.#lastAliveUs > this.#giveUpUs && this.#lanes.every((lane) => lane.closed || lane.opening)) {
      this.#gaveUp = true;
      for (const lane of this.#lanes) lane.cut();
    }
    for (const lane of this.#lanes) lane.cutIfSilent(now - this.#silenceUsMax);
    if (!this.wanted()) this.#wake();
  }

  #report(cpuMs: number): SourceReport {
    const seconds = (this.#lastAcknowledgedUs - this.#startUs) / 1e6;
    return {
      run: this.id,
      attempted: this.#attempted,
      acknowledged: this.#acknowledged.size,
      failed: this.#failed,
      recipientsRefused: this.#recipientsRefused,
      connectFailed: this.#connectFailed,
      gaveUp: this.#gaveUp,
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

function loadOf(run: number, options: SourceOptions): Load {
  const count = options.messages ?? Number.POSITIVE_INFINITY;
  if (options.samples !== undefined) return new SampleLoad(run, count, options.samples);
  const load = {
    count,
    from: options.from ?? 'bench@source.example',
    to: options.to ?? 'user%r@example.org',
    recipients: options.recipients ?? 1,
  };
  return new SameLoad(run, load, plainText((options.bytes ?? 4096) - STAMP_BYTES));
}

/** What the program answers as a forked child. */
export type SourceApi = {
  readonly run: (options: SourceOptions) => Promise<SourceReport>;
  readonly progress: (nothing: undefined) => Progress;
  readonly stop: (nothing: undefined) => void;
  /** The bits of the numbers of the last run that were answered 250: `new Bitmap(bytes)`. */
  readonly acknowledged: (nothing: undefined) => Uint8Array;
};

function childApi(): SourceApi {
  let source: Source | undefined;
  return {
    run: (options) => {
      source = new Source(options);
      return source.run();
    },
    progress: () => source?.progress() ?? { attempted: 0, acknowledged: 0 },
    stop: () => source?.stop(),
    acknowledged: () => source?.acknowledgedNumbers.bytes() ?? new Uint8Array(1),
  };
}

const ms = (us: number): string => (us / 1000).toFixed(2).padStart(9);

function summaryOf(report: SourceReport): string {
  const lines = [
    `${report.acknowledged} of ${report.attempted} acknowledged, ${report.perSecond.toFixed(0)}/s, ` +
      `source CPU ${report.cpuMs.toFixed(0)} ms`,
  ];
  for (const name of ['failed', 'recipientsRefused', 'connectFailed'] as const) {
    if (Object.keys(report[name]).length > 0) lines.push(`${name}: ${JSON.stringify(report[name])}`);
  }
  lines.push('ms        p50       p90       p99     p99.9       max');
  for (const phase of PHASES) {
    const { p50Us, p90Us, p99Us, p999Us, maxUs } = report.phases[phase];
    lines.push(phase.padEnd(7) + [p50Us, p90Us, p99Us, p999Us, maxUs].map(ms).join(' '));
  }
  return `${lines.join('\n')}\n`;
}

async function program(): Promise<void> {
  const { values } = parseArgs({
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '2525' },
      connections: { type: 'string', default: '1' },
      messages: { type: 'string' },
      seconds: { type: 'string' },
      'messages-per-connection': { type: 'string' },
      rate: { type: 'string' },
      recipients: { type: 'string', default: '1' },
      bytes: { type: 'string', default: '4096' },
      pipelining: { type: 'boolean', default: false },
      bdat: { type: 'boolean', default: false },
      starttls: { type: 'boolean', default: false },
      from: { type: 'string', default: 'bench@source.example' },
      to: { type: 'string', default: 'user%r@example.org' },
      json: { type: 'boolean', default: false },
    },
  });
  const perConnection = values['messages-per-connection'];
  const source = new Source({
    host: values.host,
    port: Number(values.port),
    connections: Number(values.connections),
    recipients: Number(values.recipients),
    bytes: Number(values.bytes),
    pipelining: values.pipelining,
    bdat: values.bdat,
    starttls: values.starttls,
    from: values.from,
    to: values.to,
    ...(values.seconds === undefined
      ? { messages: Number(values.messages ?? 1000) }
      : { seconds: Number(values.seconds) }),
    ...(values.seconds !== undefined && values.messages !== undefined && { messages: Number(values.messages) }),
    ...(perConnection !== undefined && { messagesPerConnection: Number(perConnection) }),
    ...(values.rate !== undefined && { rate: Number(values.rate) }),
  });
  process.on('SIGINT', () => source.stop());
  const report = await source.run();
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : summaryOf(report));
  process.exitCode = report.acknowledged === report.attempted && !report.gaveUp ? 0 : 1;
}

if (import.meta.main) {
  if (process.argv[2] === CHILD_FLAG) serve(childApi());
  else await program();
}
