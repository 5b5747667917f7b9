/** The same mail through two Posterns in turn: one shows all of it to a milter, an HTTP hook and a clamd. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bench, delivery, faultsOf, type Outcome, pause, type Scenario } from '../bench.ts';
import { Child } from '../load/child.ts';
import { FILTER_TYPES, type FiltersApi, type FilterType } from '../load/filters.ts';
import type { Carried, Ends } from '../measure/carried.ts';
import { forgetPeak, peakRssBytes, rssBytes } from '../measure/processes.ts';
import { cpuMsPerMessage, perSecond, type Target, type Turns, takeTurns, type Way } from '../measure/turns.ts';
import type { Postern } from '../peers/postern.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, mib, type Spread, spreadOf, spreadText } from '../report.ts';

const CONNECTIONS = 50;
const BYTES = 4096;
/** As relay-small. */
const MESSAGES_PER_CONNECTION = 500;
/** Where both have the same to do in the same time, and what is done at once for several messages is as much. */
const RATE = 300;
/** What a process needs at its first hundred large messages, whoever brings them, is not a session's. */
const LARGE_SESSIONS = { few: 100, many: 300 } as const;
const QUICK_LARGE_SESSIONS = { few: 10, many: 20 } as const;
const LARGE_BYTES = 10_000_000;
/** Content that waits in memory for its delivery has a bound of its own, which is not what is asked for here. */
const MEMORY_BYTES_MAX = 16_777_216;
/** Time for buffers of what was before to be given back. */
const SETTLE_MS = 3_000;

const WITH = 'with';
const WITHOUT = 'without';

const CPU_MS_MAX = 0.25;
const SESSION_BYTES_MAX = 200_000;

const LOAD = { connections: CONNECTIONS, bytes: BYTES, pipelining: true } as const;
const WAYS: readonly Way[] = [
  {
    name: 'a connection per message',
    load: { ...LOAD, messagesPerConnection: 1 },
    phase: 'end',
    messages: 8_000,
  },
  {
    name: 'connections reused',
    load: { ...LOAD, messagesPerConnection: MESSAGES_PER_CONNECTION },
    phase: 'end',
    messages: 12_000,
  },
  {
    name: `${RATE} a second`,
    load: { ...LOAD, messagesPerConnection: MESSAGES_PER_CONNECTION, rate: RATE },
    phase: 'message',
    messages: 5 * RATE,
  },
];

export const relayFilters: Scenario = {
  name: 'relay-filters',
  question: 'what do three filters that answer at once cost, in CPU time a message and in memory a session?',
  load:
    `a milter, an HTTP hook and a clamd (stand-ins in one process, Unix sockets); ${BYTES}-byte messages, ` +
    `${CONNECTIONS} at once, through a Postern with them and one without, in turn: (a) a connection per message, (b) ` +
    `reused for ${MESSAGES_PER_CONNECTION} each, (c) the same in an open loop, ${RATE} a second; then ` +
    `${LARGE_SESSIONS.few} and then ${LARGE_SESSIONS.many} sessions at once, each with one message of ${LARGE_BYTES} ` +
    `bytes, through new ones of either kind, with ${mib(MEMORY_BYTES_MAX)} for content that waits for its delivery`,
  bound:
    'CPU, most of it system calls: five exchanges with the milter for the first message of a session, three for each ' +
    'further one, a request of HTTP, and a command to clamd. It would surprise: more than ' +
    `${CPU_MS_MAX} ms a message for the three together; more than ${SESSION_BYTES_MAX / 1000} KB of memory for each ` +
    'further session, which would mean that content is buffered',
  checks:
    'every message that was answered 250 is at the sink, its CRC-32 as sent, and each filter has seen it once, whole ' +
    'and unaltered',
  run,
};

type Stage = {
  readonly bench: Bench;
  readonly ends: Ends;
  readonly filters: Child<FiltersApi>;
  readonly sinkPort: number;
  /** Of the Postern with filters. */
  readonly policy: string;
};

async function run(bench: Bench): Promise<Outcome> {
  const ends = { sink: bench.sink(), source: bench.source() };
  const { port: sinkPort } = await ends.sink.call('listen', {});
  const filters = bench.started(new Child<FiltersApi>('filters.ts'));
  const policy = policyOf(await filters.call('listen', socketFolder(bench)));
  const stage: Stage = { bench, ends, filters, sinkPort, policy };
  const targets: Target[] = [];
  for (const name of [WITHOUT, WITH]) {
    const { outside, pid } = await started(stage, name, {});
    targets.push({ name, port: outside.port, pid });
  }
  const check = ({ run, messages }: Carried, { name }: Target): Promise<string[]> => unseen(stage, name, run, messages);
  const { turns, failures } = await takeTurns(bench, ends, WAYS, targets, check);
  const sessions = bench.settings.quick ? QUICK_LARGE_SESSIONS : LARGE_SESSIONS;
  const memory: Memory[] = [];
  for (let round = 1; round <= bench.settings.rounds; round++)
    for (const name of [WITHOUT, WITH]) memory.push(await large(stage, name, sessions));
  failures.push(...memory.flatMap(({ faults }) => faults));
  if (!bench.settings.quick) failures.push(...missed(turns, memory));
  return {
    headlines: headlines(turns, memory),
    ratios: WAYS.filter(({ phase }) => phase === 'end').map(({ name }) => ({
      name: `${name}: CPU a message / without`,
      better: 'less' as const,
      ...turns.ratio(name, WITH, WITHOUT, cpuMsPerMessage),
    })),
    charts: WAYS.flatMap((way) => turns.charts(way, targets)),
    tables: [...WAYS.map((way) => turns.table(way, targets)), memoryTable(memory, sessions)],
    failures,
    figures: { turns: turns.all, memory },
  };
}

/** The path of a socket has 107 bytes, which a folder of the repository may not leave. */
function socketFolder(bench: Bench): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  bench.started({ stop: async () => rmSync(folder, { recursive: true, force: true }) });
  return folder;
}

function policyOf(places: Readonly<Record<FilterType, string>>): string {
  const filters = FILTER_TYPES.map((type) => ({
    name: type,
    type,
    at: places[type],
    connectionsMax: LARGE_SESSIONS.many,
  }));
  return JSON.stringify({ filters }); // which is YAML
}

const started = (
  { bench, sinkPort, policy }: Stage,
  name: string,
  environment: Record<string, string>,
): Promise<Postern> =>
  relayTo(bench, name, sinkPort, { environment, policy: name.startsWith(WITHOUT) ? undefined : policy });

/** What a filter has not seen as often as it should, or not as it was. */
async function unseen({ filters }: Stage, name: string, run: number, messages: number): Promise<string[]> {
  const wanted = name === WITH ? messages : 0;
  return Object.entries(await filters.call('counts', run))
    .filter(([, { distinct, duplicates, altered }]) => distinct !== wanted || duplicates > 0 || altered > 0)
    .map(([type, { distinct, duplicates, altered }]) => {
      const more = `${duplicates} twice, ${altered} altered`;
      return `${name}: ${type} has seen ${distinct} of ${wanted} messages, ${more}`;
    });
}

type Sessions = { readonly few: number; readonly many: number };

type Memory = {
  readonly name: string;
  readonly idleBytes: number;
  /** With few sessions, and with many. */
  readonly peakBytes: readonly [number, number];
  /** By which the one is more than the other, over the sessions that are more. */
  readonly perSessionBytes: number;
  readonly faults: readonly string[];
};

async function large(stage: Stage, name: string, { few, many }: Sessions): Promise<Memory> {
  const { bench, ends } = stage;
  const postern = await started(stage, `${name}-large`, { MEMORY_BYTES_MAX: `${MEMORY_BYTES_MAX}` });
  const { pid, outside } = postern;
  const common = { port: outside.port, messagesPerConnection: 1, pipelining: true };
  await ends.source.call('run', { ...common, connections: few, messages: 20 * few, bytes: BYTES });
  await pause(SETTLE_MS);
  const idleBytes = rssBytes(pid);
  forgetPeak(pid);
  const faults: string[] = [];
  const peakOf = async (sessions: number): Promise<number> => {
    const load = { ...common, connections: sessions, messages: sessions, bytes: LARGE_BYTES, silenceSecondsMax: 600 };
    const report = await ends.source.call('run', load);
    const delivered = await delivery(ends.source, ends.sink, report);
    const shown = await unseen(stage, name, report.run, sessions);
    faults.push(...[...faultsOf(name, report, delivered), ...shown].map((fault) => `large messages, ${fault}`));
    return peakRssBytes(pid);
  };
  const peakBytes = [await peakOf(few), await peakOf(many)] as const;
  const perSessionBytes = (peakBytes[1] - peakBytes[0]) / (many - few);
  const [ofFew, ofMany] = peakBytes.map(mib);
  bench.say(`  ${few} and ${many} sessions, ${name}: ${ofFew} and ${ofMany} at most, ${mib(idleBytes)} before`);
  await postern.stop();
  return { name, idleBytes, peakBytes, perSessionBytes, faults };
}

const kilobytes = ({ median, least, most }: Spread): string =>
  `${spreadText({ median: median / 1000, least: least / 1000, most: most / 1000 })} KB`;

const of = (memory: readonly Memory[], name: string): Memory[] => memory.filter((one) => one.name === name);

const perSession = (memory: readonly Memory[], name: string): Spread =>
  spreadOf(of(memory, name).map(({ perSessionBytes }) => perSessionBytes));

const memoryTable = (memory: readonly Memory[], { few, many }: Sessions): Outcome['tables'][number] => ({
  title: `${few} and ${many} sessions at once, ${LARGE_BYTES / 1e6} MB each, median (least-most)`,
  columns: ['', 'before', `peak with ${few}`, `peak with ${many}`, 'each further session'],
  rows: [WITHOUT, WITH].map((name) => {
    const all = of(memory, name);
    const median = (figure: (one: Memory) => number): string => mib(spreadOf(all.map(figure)).median);
    return [
      name,
      median(({ idleBytes }) => idleBytes),
      median(({ peakBytes: [few] }) => few),
      median(({ peakBytes: [, many] }) => many),
      kilobytes(perSession(memory, name)),
    ];
  }),
});

function missed(turns: Turns, memory: readonly Memory[]): string[] {
  const more = WAYS.map(({ name }) => ({ name, ms: turns.difference(name, WITH, WITHOUT, cpuMsPerMessage).median }));
  const costly = more.filter(({ ms }) => ms > CPU_MS_MAX);
  const large = [WITHOUT, WITH].map((name) => ({ name, each: perSession(memory, name) }));
  return [
    ...costly.map(({ name, ms }) => `${name}: ${digits(ms)} ms of CPU more a message; ${CPU_MS_MAX} is the most`),
    ...large.flatMap(({ name, each }) =>
      each.median > SESSION_BYTES_MAX ? [`${name} filters: ${kilobytes(each)} of memory for each further session`] : [],
    ),
  ];
}

const headlines = (turns: Turns, memory: readonly Memory[]): string[] => [
  ...WAYS.map(({ name }) => {
    const more = spreadText(turns.difference(name, WITH, WITHOUT, cpuMsPerMessage));
    const rate = spreadText(turns.ratio(name, WITH, WITHOUT, perSecond));
    return `${name}: ${more} ms of CPU more a message, at ${rate} of the rate`;
  }),
  `${kilobytes(perSession(memory, WITH))} of memory for each further session with ${LARGE_BYTES / 1e6} MB, ` +
    `${kilobytes(perSession(memory, WITHOUT))} without filters`,
];
