/**
 * The soak: npm run soak (-- --help tells the rest)
 *
 * Loads a real Postern of two shards both ways, with mail of all kinds, while it, a shard, or a server that it delivers
 * to is killed every few seconds (soak/strikes.ts, soak/world.ts), and counts in the end (soak/tally.ts). Exit code 1:
 * a copy was lost, altered, or came twice and no kill explains it; or there was too little of something to show
 * anything. Spool, log and arrivals are kept then.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LIMITS } from '../src/config/limits.ts';
import { SPOOL_LIMITS } from '../src/spool/limits.ts';
import { decimal, option, optional, parseOrExit, whole } from './arguments.ts';
import { pause } from './bench.ts';
import { Bitmap } from './load/bitmap.ts';
import { Child } from './load/child.ts';
import { recipientsOf } from './load/messages.ts';
import type { SourceApi, SourceReport } from './load/source.ts';
import { readMetrics } from './measure/metrics.ts';
import { rssBytes } from './measure/processes.ts';
import type { HostPort, PosternOptions } from './peers/postern.ts';
import { digits, mib, tableText } from './report.ts';
import { type LogEvents, logEvents } from './soak/log_events.ts';
import { SHARDS, Striker } from './soak/strikes.ts';
import { type Strike, TARGETS, Tally, type Verdict } from './soak/tally.ts';
import { WAYS, World } from './soak/world.ts';

const MINUTES = 20;
const RATE = 200;
const CONNECTIONS = 20;
const MESSAGES_PER_CONNECTION = 100;
const PROGRESS_MS = 5_000;
const POLL_MS = 200;
/** A shard that died young waits up to half a minute: after twice that, what is missing is lost. */
const STALL_MS_MAX = 60_000;
/** What Postern says when its disk or its own code has failed: nobody here has done anything to either. */
const DEFECTS = ['fatal', 'spool-corrupt', 'spool-broken', 'spool-full', 'shard-broken', 'shard-hung'];
const SEED_MAX = 2 ** 31;
/** Small, so that many are filled, freed and used again. */
const SEGMENT_BYTES = 2 * 1_048_576;
const EXIT_INTERRUPTED = 130;
const FOLDER = fileURLToPath(new URL(`../var/soak-${process.pid}`, import.meta.url));

const say = (text: string): void => void process.stdout.write(`${text}\n`);

type Options = { readonly minutes: number; readonly seed: number; readonly rate: number };
type Way = { readonly name: string; readonly source: Child<SourceApi>; readonly ended: Promise<SourceReport> };

class Soak {
  readonly #options: Options;
  readonly #world: World;
  readonly #striker: Striker;
  readonly #tally: Tally;
  readonly #ways: readonly Way[];
  readonly #startMs = performance.now();

  constructor(options: Options, world: World, striker: Striker) {
    this.#options = options;
    this.#world = world;
    this.#striker = striker;
    const runs = WAYS.map((_, way) => runOf(options.seed, way));
    this.#tally = new Tally((run, number) => {
      const who = WAYS[runs.indexOf(run)];
      return who && recipientsOf(run, number, who);
    }, LIMITS.contentInlineBytes);
    const { outside, inside } = striker.postern;
    this.#ways = [this.#way('in', 0, outside, false), this.#way('out', 1, inside, true)];
  }

  /** Until the time is over and everything has come, or nothing more does. */
  async run(): Promise<readonly string[]> {
    const progress = setInterval(() => this.#progress().catch(sourceStopped), PROGRESS_MS);
    try {
      await this.#striker.run();
      for (const { source } of this.#ways) await source.call('stop', undefined);
      const reports = await Promise.all(this.#ways.map(({ ended }) => ended));
      const acknowledged = await this.#acknowledged(reports);
      say('  the strikes are over: waiting for what is on its way');
      await this.#everything(acknowledged);
      return await this.#conclude(reports, acknowledged);
    } finally {
      clearInterval(progress);
      for (const { source } of this.#ways) await source.stop();
    }
  }

  #way(name: string, way: number, { host, port }: HostPort, bdat: boolean): Way {
    const source = new Child<SourceApi>('source.ts');
    const ended = source.call('run', {
      host,
      port,
      run: runOf(this.#options.seed, way),
      samples: WAYS[way]!,
      rate: this.#options.rate / WAYS.length,
      seconds: Number.MAX_SAFE_INTEGER / 1e6,
      connections: CONNECTIONS,
      messagesPerConnection: MESSAGES_PER_CONNECTION,
      pipelining: true,
      bdat,
      giveUpSeconds: STALL_MS_MAX / 1000,
    });
    ended.catch(() => undefined); // awaited when the strikes are over
    return { name, source, ended };
  }

  #read(): void {
    for (const site of this.#world.sites) for (const line of site.arrivals()) this.#tally.arrived(site.name, line);
  }

  async #progress(): Promise<void> {
    this.#read();
    const progress = await Promise.all(this.#ways.map(({ source }) => source.call('progress', undefined)));
    const accepted = progress.reduce((sum, one) => sum + one.acknowledged, 0);
    const seconds = Math.round((performance.now() - this.#startMs) / 1000);
    const struck = TARGETS.map((what) => `${what} ${this.#striker.count(what)}`);
    const { copies, again, altered } = this.#tally;
    say(
      `  ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}  accepted ${digits(accepted)}, ` +
        `copies ${digits(copies)}, again ${again}, altered ${altered}; killed: ${struck.join(', ')}; ` +
        `resident ${mib(rssBytes(this.#striker.postern.pid))}`,
    );
  }

  async #acknowledged(reports: readonly SourceReport[]): Promise<Map<number, Bitmap>> {
    const acknowledged = new Map<number, Bitmap>();
    for (const [way, { source }] of this.#ways.entries())
      acknowledged.set(reports[way]!.run, new Bitmap(await source.call('acknowledged', undefined)));
    return acknowledged;
  }

  /** All copies are there and the queue is empty, twice with time for a fresh gauge between: nothing can come again. */
  async #everything(acknowledged: ReadonlyMap<number, Bitmap>): Promise<void> {
    let complete = 0;
    let seen = -1;
    for (let changedMs = performance.now(); performance.now() - changedMs < STALL_MS_MAX; await pause(POLL_MS)) {
      this.#read();
      const came = this.#tally.copies + this.#tally.again;
      if (came !== seen) changedMs = performance.now();
      seen = came;
      if ((await this.#queued()) > 0 || this.#tally.lost(acknowledged).length > 0) complete = 0;
      else if (++complete === 2) return;
      else await pause(2 * LIMITS.statusMs);
    }
  }

  async #queued(): Promise<number> {
    return (await readMetrics(this.#striker.postern.admin)).sum('queue_messages');
  }

  async #conclude(reports: readonly SourceReport[], acknowledged: ReadonlyMap<number, Bitmap>): Promise<string[]> {
    const left = await this.#queued();
    const code = await this.#striker.postern.stop();
    this.#read();
    const slowestUs = Math.max(...reports.map(({ phases }) => phases.end.maxUs));
    const verdict = this.#tally.verdict(acknowledged, this.#striker.strikes, slowestUs + SPOOL_LIMITS.companyMs * 1000);
    const log = await logEvents(join(FOLDER, 'postern.log'));
    const failures = [...this.#striker.failures, ...faultsOf(verdict), ...this.#faultsOfLoad(log)];
    if (left > 0) failures.push(`${left} messages are still in the queue`);
    if (code !== 0) failures.push(`exit code ${code} after SIGTERM`);
    for (const report of reports) if (report.gaveUp) failures.push('a source could not connect for a minute');
    say(`\n${mailTable(this.#ways, reports)}\n${strikeTable(verdict)}`);
    say(
      `  ${digits(this.#tally.several)} transactions with several recipients, ${digits(this.#tally.large)} with ` +
        `content in a file, ${digits(log.deferred)} deferrals; slowest 250 ${digits(slowestUs / 1000)} ms`,
    );
    say(
      `  ${digits(verdict.copies)} copies: ${verdict.lost.length} lost, ${verdict.altered} altered, ` +
        `${verdict.strange} strange, ${verdict.again} again, of which ${verdict.unexplained.length} unexplained`,
    );
    return failures;
  }

  /** Too little of something, and the soak has shown nothing about it. */
  #faultsOfLoad({ counts, deferred }: LogEvents): string[] {
    const faults: string[] = [];
    const struck = (what: Strike['what']): number => this.#striker.count(what);
    for (const what of TARGETS) if (struck(what) === 0) faults.push(`no strike: ${what}`);
    if (this.#tally.several === 0) faults.push('no message for several recipients');
    if (this.#tally.large === 0) faults.push('no content in a file of its own');
    if (deferred === 0) faults.push('nothing was deferred');
    for (const event of DEFECTS) if (counts.has(event)) faults.push(`${counts.get(event)} times in the log: ${event}`);
    const died = counts.get('shard-died') ?? 0;
    if (died > struck('shard')) faults.push(`${died} shards died, ${struck('shard')} were killed`);
    return faults;
  }
}

/** The last look at the progress met the end. */
const sourceStopped = (): void => undefined;

/** The two ways of a soak have two series of messages. */
const runOf = (seed: number, way: number): number => (seed * WAYS.length + way) >>> 0;

function faultsOf({ lost, altered, strange, unexplained }: Verdict): string[] {
  const faults: string[] = [];
  if (lost.length > 0) faults.push(`${lost.length} lost after their 250, first ${lost[0]}`);
  if (altered > 0) faults.push(`${altered} altered`);
  if (strange > 0) faults.push(`${strange} that nobody sent`);
  if (unexplained.length > 0) faults.push(`${unexplained.length} came twice without a kill, first ${unexplained[0]}`);
  return faults;
}

function mailTable(ways: readonly Way[], reports: readonly SourceReport[]): string {
  const rows = reports.map(({ attempted, acknowledged, phases }, way) => [
    ways[way]?.name ?? '',
    digits(attempted),
    digits(acknowledged),
    digits(attempted - acknowledged),
    digits(phases.end.p50Us / 1000),
    digits(phases.end.p99Us / 1000),
  ]);
  return tableText({ title: 'messages', columns: ['', 'sent', 'accepted', 'no 250', '250 p50 ms', 'p99 ms'], rows });
}

function strikeTable({ strikes }: Verdict): string {
  const rows = [...new Set(strikes.map(({ strike }) => strike.what))].map((what) => {
    const all = strikes.filter(({ strike }) => strike.what === what);
    const worst = all.reduce((a, b) => (b.again > a.again ? b : a));
    const sum = (of: 'again' | 'inFlight'): string => digits(all.reduce((total, one) => total + one[of], 0));
    const oldestMs = Math.max(...all.map(({ oldestUs }) => oldestUs)) / 1000;
    const worstText = `${worst.again} of ${worst.inFlight}`;
    return [what, `${all.length}`, sum('again'), sum('inFlight'), worstText, digits(oldestMs)];
  });
  const columns = ['killed', 'times', 'copies again', 'in flight, at most', 'worst', 'oldest, ms'];
  return tableText({ title: 'what was killed, and the copies that came twice for it', columns, rows });
}

async function soak(options: Options): Promise<readonly string[]> {
  mkdirSync(FOLDER, { recursive: true });
  const world = await World.start(FOLDER);
  let striker: Striker | undefined;
  try {
    const postern: PosternOptions = {
      folder: FOLDER,
      environment: {
        ...world.environment(),
        WORKERS: `${SHARDS}`,
        RETRY_SECONDS: '1',
        CLIENT_CONNECTIONS_MAX: '1000',
        SEGMENT_BYTES: `${SEGMENT_BYTES}`,
      },
      mortal: true,
    };
    striker = await Striker.start(world, postern, options.seed, options.minutes * 60);
    return await new Soak(options, world, striker).run();
  } finally {
    await striker?.postern.kill();
    await world.close();
  }
}

const TABLE = {
  minutes: option('N', decimal(0.1, 10_080), 'ends after so long', `${MINUTES}`),
  rate: option('N', decimal(1, 100_000), 'messages a second', `${RATE}`),
  seed: optional('N', whole(0, SEED_MAX - 1), 'who is killed, and when; a drawn one unless said'),
} as const;
const PURPOSE = 'Kills Postern, its shards and the servers around it at random under load, and counts what arrived.';
const { values } = parseOrExit({ name: 'soak', purpose: PURPOSE, table: TABLE }, process.argv.slice(2));
const options = { ...values, seed: values.seed ?? randomInt(SEED_MAX) };
process.once('SIGINT', () => process.exit(EXIT_INTERRUPTED));
say(`Soak of ${options.minutes} minutes, ${options.rate} messages a second. Again: --seed ${options.seed}`);
const failures = await soak(options);
for (const failure of failures) say(`  FAILED: ${failure}`);
if (failures.length === 0) rmSync(FOLDER, { recursive: true, force: true });
else say(`  kept: ${FOLDER}`);
process.exitCode = failures.length === 0 ? 0 : 1;
