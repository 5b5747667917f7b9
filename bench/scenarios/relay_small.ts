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
import { digits, mib, spreadOf, spreadText } from '../report.ts';

const CONNECTIONS = 50;
const BYTES = 4096;
/** Less than what Postern lets one session send by default (POSTERN_SESSION_MESSAGES_MAX). */
const MESSAGES_PER_CONNECTION = 500;
/** After the last delivery, what a relay still does for its messages (marks, removals) belongs to their CPU time. */
const SETTLE_MS = 300;

type TargetName = 'direct' | 'postern' | 'postfix';
type Target = {
  readonly name: TargetName;
  readonly port: number;
  /** Root of the relay's processes; 0: there is no relay. */
  readonly pid: number;
  memoryBytes(): number;
};
type Way = 'a connection per message' | 'connections reused';

/** Enough for some seconds each on two cores. */
const MESSAGES: Readonly<Record<Way, Readonly<Record<TargetName, number>>>> = {
  'a connection per message': { direct: 15_000, postern: 10_000, postfix: 2_500 },
  'connections reused': { direct: 60_000, postern: 25_000, postfix: 2_500 },
};
const QUICK_SHARE = 0.08;
const WAYS = Object.keys(MESSAGES) as Way[];

type Figures = {
  readonly target: TargetName;
  readonly way: Way;
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

export const relaySmall: Scenario = {
  name: 'relay-small',
  question: 'how many small messages a second does the relay accept durably and hand on, and what do they cost?',
  load: `${BYTES}-byte messages, ${CONNECTIONS} at once: (a) a connection per message, (b) connections reused for ${MESSAGES_PER_CONNECTION} each, PIPELINING`,
  bound:
    'CPU: on two cores the load itself takes one; the direct run is the ceiling of the machine. A relay within a third of the ' +
    'ceiling, or one whose CPU time differs between rounds by a factor of two, would be a surprise',
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
  for (const target of targets) await measure(target, 'connections reused', 500, source, sink); // warm code
  for (let round = 1; round <= bench.settings.rounds; round++) {
    for (const way of WAYS) {
      for (const target of targets) {
        const count = Math.round(MESSAGES[way][target.name] * (bench.settings.quick ? QUICK_SHARE : 1));
        const { faults, ...one } = await measure(target, way, count, source, sink);
        bench.say(`  round ${round}, ${way}, ${target.name}: ${digits(one.perSecond)}/s`);
        figures.push(one);
        failures.push(...faults);
      }
    }
  }
  return {
    headlines: WAYS.flatMap((way) => headlines(figures, way)),
    tables: WAYS.map((way) => table(figures, way)),
    failures,
    figures,
  };
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
): Promise<Figures & { readonly faults: string[] }> {
  const options: SourceOptions = {
    port: target.port,
    connections: CONNECTIONS,
    messages,
    bytes: BYTES,
    pipelining: true,
    messagesPerConnection: way === 'connections reused' ? MESSAGES_PER_CONNECTION : 1,
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
    way,
    messages,
    perSecond: counts.distinct / seconds,
    cpuMsPerMessage: cpuMs / messages,
    p50Ms: report.phases.end.p50Us / 1000,
    p99Ms: report.phases.end.p99Us / 1000,
    endToEndP99Ms: (runs.find((one) => one.run === report.run)?.endToEnd.p99Us ?? 0) / 1000,
    sourceCpuMsPerMessage: report.cpuMs / messages,
    duplicates: counts.duplicates,
    memoryBytes: target.memoryBytes(),
    faults: faultsOf(`${target.name}, ${way}`, report, delivered),
  };
}

function headlines(all: readonly Figures[], way: Way): string[] {
  const of = (target: TargetName, key: 'perSecond' | 'cpuMsPerMessage' | 'p99Ms'): number =>
    spreadOf(all.filter((one) => one.way === way && one.target === target).map((one) => one[key])).median;
  const times = (a: number, b: number): string => `${digits(a / b)} times`;
  const lines = [`${way}: ${times(of('postern', 'perSecond'), of('direct', 'perSecond'))} the direct ceiling's rate`];
  if (all.some((one) => one.target === 'postfix')) {
    lines.unshift(
      `${way}: ${times(of('postern', 'perSecond'), of('postfix', 'perSecond'))} Postfix's rate, ` +
        `${times(of('postern', 'cpuMsPerMessage'), of('postfix', 'cpuMsPerMessage'))} its CPU time per message, ` +
        `${times(of('postern', 'p99Ms'), of('postfix', 'p99Ms'))} its p99 of the 250`,
    );
  }
  return lines;
}

function table(all: readonly Figures[], way: Way): Table {
  const rows = [];
  for (const target of ['direct', 'postern', 'postfix'] as const) {
    const figures = all.filter((one) => one.way === way && one.target === target);
    if (figures.length === 0) continue;
    const text = (key: 'perSecond' | 'cpuMsPerMessage' | 'p50Ms' | 'p99Ms' | 'endToEndP99Ms'): string =>
      spreadText(spreadOf(figures.map((one) => one[key])));
    const relay = target !== 'direct';
    rows.push([
      target,
      text('perSecond'),
      relay ? text('cpuMsPerMessage') : '-',
      text('p50Ms'),
      text('p99Ms'),
      text('endToEndP99Ms'),
      relay ? mib(Math.max(...figures.map((one) => one.memoryBytes))) : '-',
      `${figures.reduce((sum, one) => sum + one.duplicates, 0)}`,
    ]);
  }
  const columns = [
    '',
    'messages/s',
    'CPU ms/message',
    '250 p50 ms',
    '250 p99 ms',
    'end to end p99 ms',
    'peak memory',
    'twice',
  ];
  return { title: `${way}, median (least-most)`, columns, rows };
}
