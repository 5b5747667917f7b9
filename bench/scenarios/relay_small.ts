/** 4 KiB messages through each relay in turn, round after round, so that all of them meet the same noise. */
import {
  type Bench,
  delivery,
  faultsOf,
  LOAD_ENVIRONMENT,
  type Outcome,
  pause,
  type Scenario,
  type Table,
} from '../bench.ts';
import type { Child } from '../load/child.ts';
import type { SinkApi } from '../load/sink.ts';
import type { SourceApi, SourceOptions } from '../load/source.ts';
import { peakRssBytes, treeCpuMs, treeMemoryBytes } from '../measure/processes.ts';
import { startPostern } from '../peers/postern.ts';
import { startPostfix } from '../peers/postfix.ts';
import { digits, mib, type Spread, spreadOf, spreadText } from '../report.ts';

const CONNECTIONS = 50;
const BYTES = 4096;
/** Less than what Postern lets one session send by default (POSTERN_SESSION_MESSAGES_MAX). */
const MESSAGES_PER_CONNECTION = 500;
/** A load that every relay here can bear, so that latencies are compared at equal work. */
const RATE = 200;
/** After the last delivery, what a relay still does for its messages (marks, removals) belongs to their CPU time. */
const SETTLE_MS = 300;
const WARM_MESSAGES = 300;
const QUICK_SHARE = 0.08;

const TARGETS = ['direct', 'postern', 'postfix'] as const;
type TargetName = (typeof TARGETS)[number];
type Target = {
  readonly name: TargetName;
  readonly port: number;
  /** Root of the relay's processes; 0: there is no relay. */
  readonly pid: number;
  memoryBytes(): number;
};
type Way = {
  readonly name: string;
  readonly load: Partial<SourceOptions>;
  /** What is reported as latency: the reply to the end of data, or the whole message from when it was due. */
  readonly phase: 'end' | 'message';
  /** Enough for some seconds each on two cores. */
  readonly messages: Readonly<Record<TargetName, number>>;
};

const WAYS: readonly Way[] = [
  {
    name: 'a connection per message',
    load: { messagesPerConnection: 1 },
    phase: 'end',
    messages: { direct: 15_000, postern: 10_000, postfix: 2_500 },
  },
  {
    name: 'connections reused',
    load: { messagesPerConnection: MESSAGES_PER_CONNECTION },
    phase: 'end',
    messages: { direct: 60_000, postern: 25_000, postfix: 2_500 },
  },
  {
    name: `${RATE} a second, a connection per message`,
    load: { messagesPerConnection: 1, rate: RATE },
    phase: 'message',
    messages: { direct: 600, postern: 600, postfix: 600 },
  },
];

type Figures = {
  readonly round: number;
  readonly target: TargetName;
  readonly way: string;
  readonly messages: number;
  readonly perSecond: number;
  readonly cpuMsPerMessage: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly endToEndP99Ms: number;
  readonly sourceCpuMsPerMessage: number;
  readonly duplicates: number;
  readonly memoryBytes: number;
};
type Figure = 'perSecond' | 'cpuMsPerMessage' | 'p50Ms' | 'p99Ms' | 'endToEndP99Ms';

export const relaySmall: Scenario = {
  name: 'relay-small',
  question: 'how many small messages a second does the relay accept durably and hand on, and what do they cost?',
  load:
    `${BYTES}-byte messages, ${CONNECTIONS} at once, PIPELINING: (a) a connection per message, ` +
    `(b) connections reused for ${MESSAGES_PER_CONNECTION} each, (c) open loop, ${RATE} messages a second`,
  bound:
    'CPU: on two cores the load itself takes one. With a ms of CPU per message for source and sink and b for the ' +
    'relay, a / (a + b) of the direct ceiling is to be expected; much less would mean that something waits, and CPU ' +
    'time per message that differs twofold between rounds that the machine is not ours',
  checks: 'every message that was answered 250 is at the sink, its CRC-32 as sent',
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const sink = bench.sink();
  const source = bench.source();
  const { port } = await sink.call('listen', {});
  const targets = await startTargets(bench, port);
  const figures: Figures[] = [];
  const failures: string[] = [];
  for (const target of targets) {
    for (const way of WAYS.slice(0, 2)) await measure(target, way, WARM_MESSAGES, source, sink);
  }
  for (let round = 1; round <= bench.settings.rounds; round++) {
    for (const way of WAYS) {
      for (const target of targets) {
        const count = Math.round(way.messages[target.name] * (bench.settings.quick ? QUICK_SHARE : 1));
        const { faults, ...one } = await measure(target, way, count, source, sink);
        bench.say(`  round ${round}, ${way.name}, ${target.name}: ${digits(one.perSecond)}/s`);
        figures.push({ round, ...one });
        failures.push(...faults);
      }
    }
  }
  const headlines = WAYS.flatMap((way) => (way.phase === 'end' ? rateLines(figures, way) : latencyLines(figures, way)));
  return { headlines, tables: WAYS.map((way) => table(figures, way)), failures, figures };
}

async function startTargets(bench: Bench, sinkPort: number): Promise<Target[]> {
  const targets: Target[] = [{ name: 'direct', port: sinkPort, pid: 0, memoryBytes: () => 0 }];
  const environment = { ...LOAD_ENVIRONMENT, INSIDE_ROUTE: `smtp://127.0.0.1:${sinkPort}` };
  const postern = bench.started(await startPostern({ folder: bench.folder('postern'), environment }));
  const { pid } = postern;
  targets.push({ name: 'postern', port: postern.outside.port, pid, memoryBytes: () => peakRssBytes(pid) });
  if (bench.settings.postfix) {
    const postfix = bench.started(
      await startPostfix({ folder: bench.folder('postfix'), relayTo: `127.0.0.1:${sinkPort}` }),
    );
    const master = postfix.pids()[0] ?? 0;
    targets.push({ name: 'postfix', port: postfix.port, pid: master, memoryBytes: () => treeMemoryBytes(master) });
  }
  return targets;
}

async function measure(
  target: Target,
  way: Way,
  messages: number,
  source: Child<SourceApi>,
  sink: Child<SinkApi>,
): Promise<Omit<Figures, 'round'> & { readonly faults: string[] }> {
  const options: SourceOptions = {
    port: target.port,
    connections: CONNECTIONS,
    messages,
    bytes: BYTES,
    pipelining: true,
    ...way.load,
    to: 'user%r@example.org',
  };
  const cpuBefore = target.pid === 0 ? 0 : treeCpuMs(target.pid);
  const report = await source.call('run', options);
  const delivered = await delivery(source, sink, report);
  const { counts } = delivered;
  await pause(SETTLE_MS);
  const cpuMs = target.pid === 0 ? 0 : treeCpuMs(target.pid) - cpuBefore;
  const { runs } = await sink.call('stats', undefined);
  const seconds = (counts.lastUs - report.firstConnectUs) / 1e6;
  return {
    target: target.name,
    way: way.name,
    messages,
    perSecond: counts.distinct / seconds,
    cpuMsPerMessage: cpuMs / messages,
    p50Ms: report.phases[way.phase].p50Us / 1000,
    p99Ms: report.phases[way.phase].p99Us / 1000,
    endToEndP99Ms: (runs.find((one) => one.run === report.run)?.endToEnd.p99Us ?? 0) / 1000,
    sourceCpuMsPerMessage: report.cpuMs / messages,
    duplicates: counts.duplicates,
    memoryBytes: target.memoryBytes(),
    faults: faultsOf(`${target.name}, ${way.name}`, report, delivered),
  };
}

function spread(all: readonly Figures[], way: Way, target: TargetName, figure: Figure): Spread {
  return spreadOf(all.filter((one) => one.way === way.name && one.target === target).map((one) => one[figure]));
}

const withPostfix = (all: readonly Figures[]): boolean => all.some((one) => one.target === 'postfix');

/** Postern over another, round by round: neighbours in time, they met the same noise. */
function ratio(all: readonly Figures[], way: Way, other: TargetName, figure: Figure): string {
  const of = (target: TargetName): readonly Figures[] =>
    all.filter((one) => one.way === way.name && one.target === target);
  const others = of(other);
  const ratios = of('postern').map((one) => {
    const beside = others.find(({ round }) => round === one.round);
    return one[figure] / (beside?.[figure] ?? Number.NaN);
  });
  return spreadText(spreadOf(ratios));
}

function rateLines(all: readonly Figures[], way: Way): string[] {
  const toDirect = `${way.name}: ${ratio(all, way, 'direct', 'perSecond')} of the direct ceiling`;
  if (!withPostfix(all)) return [toDirect];
  const rate = ratio(all, way, 'postfix', 'perSecond');
  const cpu = ratio(all, way, 'postfix', 'cpuMsPerMessage');
  return [`${way.name}: ${rate} times Postfix's rate, at ${cpu} of its CPU time per message`, toDirect];
}

function latencyLines(all: readonly Figures[], way: Way): string[] {
  const p99 = (target: TargetName): string => `${digits(spread(all, way, target, 'p99Ms').median)} ms`;
  return [`${way.name}: p99 of ${p99('postern')}${withPostfix(all) ? `, Postfix ${p99('postfix')}` : ''}`];
}

function table(all: readonly Figures[], way: Way): Table {
  const rows = TARGETS.flatMap((target) => {
    const figures = all.filter((one) => one.way === way.name && one.target === target);
    if (figures.length === 0) return [];
    const text = (figure: Figure): string => spreadText(spread(all, way, target, figure));
    const relay = target !== 'direct';
    const memory = mib(Math.max(...figures.map((one) => one.memoryBytes)));
    const twice = figures.reduce((sum, one) => sum + one.duplicates, 0);
    return [
      [
        target,
        text('perSecond'),
        relay ? text('cpuMsPerMessage') : '-',
        text('p50Ms'),
        text('p99Ms'),
        text('endToEndP99Ms'),
        relay ? memory : '-',
        `${twice}`,
      ],
    ];
  });
  const latency = way.phase === 'end' ? '250' : 'due to 250';
  return {
    title: `${way.name}, median (least-most)`,
    columns: [
      '',
      'messages/s',
      'CPU ms/message',
      `${latency} p50 ms`,
      `${latency} p99 ms`,
      'end to end p99 ms',
      'memory',
      'twice',
    ],
    rows,
  };
}
