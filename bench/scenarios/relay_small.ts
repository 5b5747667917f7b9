/** 4 KiB messages through each relay in turn, round after round, so that all of them meet the same noise. */
import { type Bench, LOAD_ENVIRONMENT, type Outcome, type Scenario } from '../bench.ts';
import { treeMemoryBytes } from '../measure/processes.ts';
import { cpuMsPerMessage, perSecond, type Target, type Turns, takeTurns, type Way } from '../measure/turns.ts';
import { startPostern } from '../peers/postern.ts';
import { startPostfix } from '../peers/postfix.ts';
import { digits, spreadText } from '../report.ts';

const CONNECTIONS = 50;
const BYTES = 4096;
/** Less than what Postern lets one session send by default (POSTERN_SESSION_MESSAGES_MAX). */
const MESSAGES_PER_CONNECTION = 500;
/** A load that every relay here can bear, so that latencies are compared at equal work. */
const RATE = 200;
const WARM_MESSAGES = 300;

const LOAD = { connections: CONNECTIONS, bytes: BYTES, pipelining: true } as const;
const WAYS: readonly Way[] = [
  {
    name: 'a connection per message',
    load: { ...LOAD, messagesPerConnection: 1 },
    phase: 'end',
    messages: { direct: 15_000, postern: 10_000, postfix: 2_500 },
    warmMessages: WARM_MESSAGES,
  },
  {
    name: 'connections reused',
    load: { ...LOAD, messagesPerConnection: MESSAGES_PER_CONNECTION },
    phase: 'end',
    messages: { direct: 60_000, postern: 25_000, postfix: 2_500 },
    warmMessages: WARM_MESSAGES,
  },
  {
    name: `${RATE} a second, a connection per message`,
    load: { ...LOAD, messagesPerConnection: 1, rate: RATE },
    phase: 'message',
    messages: { direct: 600, postern: 600, postfix: 600 },
    warmMessages: 0,
  },
];

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
  const ends = { sink: bench.sink(), source: bench.source() };
  const { port } = await ends.sink.call('listen', {});
  const targets = await startTargets(bench, port);
  const { turns, failures } = await takeTurns(bench, ends, WAYS, targets);
  const headlines = WAYS.flatMap((way) =>
    way.phase === 'end' ? rateLines(turns, way, targets) : latencyLines(turns, way, targets),
  );
  return { headlines, tables: WAYS.map((way) => turns.table(way, targets)), failures, figures: turns.all };
}

async function startTargets(bench: Bench, sinkPort: number): Promise<Target[]> {
  const targets: Target[] = [{ name: 'direct', port: sinkPort, pid: 0 }];
  const environment = { ...LOAD_ENVIRONMENT, INSIDE_ROUTE: `smtp://127.0.0.1:${sinkPort}` };
  const postern = bench.started(await startPostern({ folder: bench.folder('postern'), environment }));
  targets.push({ name: 'postern', port: postern.outside.port, pid: postern.pid });
  if (bench.settings.postfix) {
    const postfix = bench.started(
      await startPostfix({ folder: bench.folder('postfix'), relayTo: `127.0.0.1:${sinkPort}` }),
    );
    const master = postfix.pids()[0] ?? 0;
    targets.push({ name: 'postfix', port: postfix.port, pid: master, memoryBytes: () => treeMemoryBytes(master) });
  }
  return targets;
}

const withPostfix = (targets: readonly Target[]): boolean => targets.some(({ name }) => name === 'postfix');

function rateLines(turns: Turns, { name }: Way, targets: readonly Target[]): string[] {
  const toDirect = `${name}: ${spreadText(turns.ratio(name, 'postern', 'direct', perSecond))} of the direct ceiling`;
  if (!withPostfix(targets)) return [toDirect];
  const rate = spreadText(turns.ratio(name, 'postern', 'postfix', perSecond));
  const cpu = spreadText(turns.ratio(name, 'postern', 'postfix', cpuMsPerMessage));
  return [`${name}: ${rate} times Postfix's rate, at ${cpu} of its CPU time per message`, toDirect];
}

function latencyLines(turns: Turns, { name }: Way, targets: readonly Target[]): string[] {
  const p99 = (target: string): string =>
    `${digits(turns.spread(name, target, ({ phases }) => phases.message.p99Us / 1000).median)} ms`;
  return [`${name}: p99 of ${p99('postern')}${withPostfix(targets) ? `, Postfix ${p99('postfix')}` : ''}`];
}
