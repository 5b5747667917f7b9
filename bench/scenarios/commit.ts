/** What one fdatasync serves, and what it adds to a 250, from a single session to a thousand. */
import { LIMITS } from '../../src/config/limits.ts';
import {
  type Bench,
  delivery,
  faultsOf,
  type Outcome,
  pause,
  type Ratio,
  type Scenario,
  type Spread,
} from '../bench.ts';
import type { Child } from '../load/child.ts';
import type { SinkApi } from '../load/sink.ts';
import type { SourceApi, SourceOptions } from '../load/source.ts';
import { bareSyncs } from '../measure/disk.ts';
import { readMetrics } from '../measure/metrics.ts';
import { treeCpuMs } from '../measure/processes.ts';
import { warmSeconds, warmUp } from '../measure/warm.ts';
import type { Postern } from '../peers/postern.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, spreadOf, spreadText } from '../report.ts';

const SESSIONS = [1, 10, 100, 1000] as const;
const SECONDS = 8;
const QUICK_SECONDS = 1;
const BARE_SECONDS = 1;
const QUICK_BARE_SECONDS = 0.2;
const BYTES = 4096;
/** Less than what Postern lets one session send by default (POSTERN_SESSION_MESSAGES_MAX). */
const MESSAGES_PER_CONNECTION = 500;
/** The journal's counters reach /metrics so much later at most. */
const SETTLE_MS = 2 * LIMITS.statusMs;

type Figures = {
  readonly round: number;
  readonly sessions: number;
  readonly perSecond: number;
  readonly messagesPerSync: number;
  /** Records are messages and the marks of their delivery. */
  readonly recordsPerSync: number;
  readonly commitMeanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerMessage: number;
  readonly bareMeanMs: number;
  readonly bareP99Ms: number;
  readonly commitPerBareSync: number;
};
type Measured = Omit<Figures, 'round'> & { readonly faults: readonly string[] };
type Figure = Exclude<keyof Figures, 'round' | 'sessions'>;

export const commit: Scenario = {
  name: 'commit',
  question: 'how many messages does one fdatasync make durable, and how much does waiting for it add to a 250?',
  load:
    `${BYTES}-byte messages, connections reused, PIPELINING, ${SECONDS} s each with ${SESSIONS.join(', ')} sessions ` +
    'in a closed loop; before each, the bare disk: 4 KiB writes with fdatasync, one after the other, in the same folder',
  bound:
    'with one session the disk: each 250 waits for a sync of its own, and for one of a mark that is under way. With ' +
    'many the CPU: more than three bare syncs for the commit of a single session, or fewer than 20 messages a sync ' +
    'with 1,000, would mean that commits wait for something else, or are not grouped',
  checks: 'every message that was answered 250 is at the sink, its CRC-32 as sent, and was counted as one commit',
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const sink = bench.sink();
  const source = bench.source();
  const { port: sinkPort } = await sink.call('listen', {});
  const postern = await relayTo(bench, 'postern', sinkPort);
  const stage: Stage = { bench, source, sink, postern };
  const figures: Figures[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= bench.settings.rounds; round++) {
    for (const sessions of SESSIONS) {
      const cold = await warm(stage, sessions, warmSeconds(bench.settings, round));
      const { faults, ...one } = await measure(stage, sessions, bench.settings.quick ? QUICK_SECONDS : SECONDS);
      const rate = `${digits(one.perSecond)}/s, ${digits(one.messagesPerSync)} messages a sync`;
      bench.say(`  round ${round}, ${sessions} sessions: ${rate}`);
      figures.push({ round, ...one });
      failures.push(...cold, ...faults);
    }
  }
  return {
    headlines: headlines(figures),
    ratios: ratiosOf(figures),
    tables: [tableOf(figures)],
    failures,
    figures,
  };
}

type Stage = {
  readonly bench: Bench;
  readonly source: Child<SourceApi>;
  readonly sink: Child<SinkApi>;
  readonly postern: Postern;
};

const loadOf = ({ postern }: Stage, sessions: number): SourceOptions => ({
  port: postern.outside.port,
  connections: sessions,
  messagesPerConnection: MESSAGES_PER_CONNECTION,
  bytes: BYTES,
  pipelining: true,
});

const warm = (stage: Stage, sessions: number, seconds: number): Promise<readonly string[]> =>
  warmUp(sessionsText(sessions), stage, loadOf(stage, sessions), seconds);

async function measure(stage: Stage, sessions: number, seconds: number): Promise<Measured> {
  const { bench, source, sink, postern } = stage;
  const bare = bareSyncs(bench.folder('postern'), bench.settings.quick ? QUICK_BARE_SECONDS : BARE_SECONDS);
  const before = await readMetrics(postern.admin);
  const cpuBefore = treeCpuMs(postern.pid);
  const report = await source.call('run', { ...loadOf(stage, sessions), seconds });
  const delivered = await delivery(source, sink, report);
  await pause(SETTLE_MS);
  const cpuMs = treeCpuMs(postern.pid) - cpuBefore;
  const after = await readMetrics(postern.admin);
  const counted = (name: string): number => after.sum(name) - before.sum(name);

  const faults = faultsOf(`${sessions} sessions`, report, delivered);
  const commits = counted('commit_seconds_count');
  if (commits !== report.acknowledged)
    faults.push(`${sessions} sessions: ${commits} commits counted for ${report.acknowledged} messages`);
  const syncs = counted('journal_syncs_total');
  const commitMeanMs = (counted('commit_seconds_sum') / commits) * 1000;
  return {
    sessions,
    perSecond: report.perSecond,
    messagesPerSync: report.acknowledged / syncs,
    recordsPerSync: counted('journal_records_total') / syncs,
    commitMeanMs,
    p50Ms: report.phases.end.p50Us / 1000,
    p99Ms: report.phases.end.p99Us / 1000,
    cpuMsPerMessage: cpuMs / report.acknowledged,
    bareMeanMs: bare.meanUs / 1000,
    bareP99Ms: bare.p99Us / 1000,
    commitPerBareSync: commitMeanMs / (bare.meanUs / 1000),
    faults,
  };
}

const spreadAt = (all: readonly Figures[], sessions: number, figure: Figure): Spread =>
  spreadOf(all.filter((one) => one.sessions === sessions).map((one) => one[figure]));

const at = (all: readonly Figures[], sessions: number, figure: Figure): string =>
  spreadText(spreadAt(all, sessions, figure));

const sessionsText = (sessions: number): string => `${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;

export const ratiosOf = (all: readonly Figures[]): Ratio[] =>
  SESSIONS.flatMap((sessions) => {
    const who = sessionsText(sessions);
    return [
      { name: `${who}: messages a sync`, better: 'more', ...spreadAt(all, sessions, 'messagesPerSync') },
      { name: `${who}: commit to a bare sync`, better: 'less', ...spreadAt(all, sessions, 'commitPerBareSync') },
    ];
  });

const headlines = (all: readonly Figures[]): string[] =>
  SESSIONS.map(
    (sessions) =>
      `${sessionsText(sessions)}: ${at(all, sessions, 'messagesPerSync')} messages a ` +
      `sync, a commit as long as ${at(all, sessions, 'commitPerBareSync')} bare syncs`,
  );

function tableOf(all: readonly Figures[]): Outcome['tables'][number] {
  const columns: readonly (readonly [string, Figure])[] = [
    ['messages/s', 'perSecond'],
    ['messages/sync', 'messagesPerSync'],
    ['records/sync', 'recordsPerSync'],
    ['commit mean ms', 'commitMeanMs'],
    ['250 p50 ms', 'p50Ms'],
    ['250 p99 ms', 'p99Ms'],
    ['CPU ms/message', 'cpuMsPerMessage'],
    ['bare sync ms', 'bareMeanMs'],
    ['its p99', 'bareP99Ms'],
  ];
  return {
    title: `by sessions, median (least-most) of ${Math.max(...all.map(({ round }) => round))} rounds`,
    columns: ['', ...columns.map(([name]) => name)],
    rows: SESSIONS.map((sessions) => [`${sessions}`, ...columns.map(([, figure]) => at(all, sessions, figure))]),
  };
}
