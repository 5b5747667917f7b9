/** One client connects without end; the others send their mail. */
import { type Bench, type Outcome, pause, type Scenario } from '../bench.ts';
import { Child } from '../load/child.ts';
import type { FloodApi, FloodCounts } from '../load/flood.ts';
import type { SourceOptions } from '../load/source.ts';
import { type Carried, carried, type Ends } from '../measure/carried.ts';
import { readMetrics } from '../measure/metrics.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, type Spread, spreadOf, spreadText } from '../report.ts';

const FLOOD_PER_SECOND = 1_000;
const FLOODER = '127.0.0.66';
const CLIENTS = Array.from({ length: 10 }, (_, index) => `127.0.1.${index + 1}`);
const CONNECTIONS = 50;
const BYTES = 4096;
const MESSAGES = 6_000;
const QUICK_MESSAGES = 400;
/** What is there by default; the flooder may hold so many. */
const CLIENT_CONNECTIONS_MAX = 100;
const RATE_SHARE_MIN = 0.8;

const CALM = 'no flood';
const ELSEWHERE = 'flood, elsewhere';
const HERE = 'flood';
type Condition = typeof CALM | typeof ELSEWHERE | typeof HERE;
const CONDITIONS: readonly Condition[] = [CALM, ELSEWHERE, HERE];

export const connectFlood: Scenario = {
  name: 'connect-flood',
  question: 'what do other clients notice when one of them connects without end?',
  load:
    `${CONNECTIONS} connections at once of ${CLIENTS.length} client addresses, one ${BYTES}-byte message each, in a ` +
    `closed loop; and one more client that opens ${FLOOD_PER_SECOND} connections a second and keeps what it is let ` +
    'have: not there, flooding a server of another process that answers 421, and flooding Postern',
  bound:
    'CPU: the flooder takes its share of the machine wherever it connects to, which is what the second of the three ' +
    `shows. Less than ${RATE_SHARE_MIN * 100} % of the rate without a flood would mean that a refusal costs too much`,
  checks:
    `the flooder was let have ${CLIENT_CONNECTIONS_MAX} connections and refused the rest with 421; every message of ` +
    'the others was answered 250 and is at the sink, its CRC-32 as sent',
  run,
};

type Figures = Omit<Carried, 'faults'> & {
  readonly round: number;
  readonly condition: Condition;
  readonly flood: FloodCounts | null;
};

async function run(bench: Bench): Promise<Outcome> {
  const ends: Ends = { sink: bench.sink(), source: bench.source() };
  const flooder = bench.started(new Child<FloodApi>('flood.ts'));
  const victim = bench.started(new Child<FloodApi>('flood.ts'));
  const { port: sinkPort } = await ends.sink.call('listen', {});
  const postern = await relayTo(bench, 'postern', sinkPort, {
    environment: { CLIENT_CONNECTIONS_MAX: `${CLIENT_CONNECTIONS_MAX}` },
  });
  const { port } = postern.outside;
  const ports: Readonly<Record<Condition, number>> = {
    [CALM]: 0,
    [ELSEWHERE]: await victim.call('refuse', undefined),
    [HERE]: port,
  };
  const load: SourceOptions = {
    port,
    connections: CONNECTIONS,
    messagesPerConnection: 1,
    messages: bench.settings.quick ? QUICK_MESSAGES : MESSAGES,
    bytes: BYTES,
    pipelining: true,
    localAddresses: CLIENTS,
  };
  await carried('warming up', ends, postern.pid, { ...load, messages: QUICK_MESSAGES });
  const figures: Figures[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= bench.settings.rounds; round++) {
    for (const condition of CONDITIONS) {
      const flooded = { host: '127.0.0.1', port: ports[condition], localAddress: FLOODER, perSecond: FLOOD_PER_SECOND };
      if (condition !== CALM) await flooder.call('start', flooded);
      const { faults, ...one } = await carried(condition, ends, postern.pid, load);
      const flood = condition === CALM ? null : await flooder.call('stop', undefined);
      if (condition === HERE) await untilLeft(postern.admin);
      bench.say(`  round ${round}, ${condition}: ${digits(one.perSecond)}/s`);
      figures.push({ ...one, round, condition, flood });
      failures.push(...faults, ...(condition === HERE && flood !== null ? floodFaults(flood) : []));
    }
  }
  const share = ratio(figures, HERE, CALM);
  if (!bench.settings.quick && share.median < RATE_SHARE_MIN)
    failures.push(`${digits(share.median)} of the rate without a flood; ${RATE_SHARE_MIN} is wanted`);
  return {
    headlines: headlines(figures),
    ratios: [
      { name: 'rate of others / no flood', better: 'more', ...share },
      { name: 'rate of others / flood elsewhere', better: 'more', ...ratio(figures, HERE, ELSEWHERE) },
    ],
    tables: [table(figures)],
    failures,
    figures,
  };
}

/** The connections that the flooder held are gone, so that the next turn does not find them. */
async function untilLeft(admin: Parameters<typeof readMetrics>[0]): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await readMetrics(admin)).sum('sessions_open') === 0) return;
    await pause(50);
  }
}

function floodFaults({ connects, replies, lost }: FloodCounts): string[] {
  const { 220: letIn = 0, 421: refused = 0, ...others } = replies as Record<string, number>;
  const faults: string[] = [];
  if (letIn > CLIENT_CONNECTIONS_MAX) faults.push(`the flooder was let have ${letIn} connections`);
  if (refused === 0) faults.push(`none of ${connects} connections of the flooder was refused`);
  if (Object.keys(others).length > 0 || Object.keys(lost).length > 0)
    faults.push(`the flooder met ${JSON.stringify({ ...others, ...lost })}`);
  return faults;
}

function ratio(all: readonly Figures[], condition: Condition, other: Condition): Spread {
  const rates = (of: Condition): number[] => all.filter((one) => one.condition === of).map((one) => one.perSecond);
  const others = rates(other);
  return spreadOf(rates(condition).map((rate, round) => rate / others[round]!));
}

const headlines = (all: readonly Figures[]): string[] => [
  `others keep ${spreadText(ratio(all, HERE, CALM))} of their rate; ${spreadText(ratio(all, ELSEWHERE, CALM))} when ` +
    'the flood goes elsewhere on the same machine',
];

function table(all: readonly Figures[]): Outcome['tables'][number] {
  const rows = CONDITIONS.map((condition) => {
    const own = all.filter((one) => one.condition === condition);
    const text = (figure: (one: Figures) => number): string => spreadText(spreadOf(own.map(figure)));
    return [
      condition,
      text(({ perSecond }) => perSecond),
      text(({ cpuMsPerMessage }) => cpuMsPerMessage),
      text(({ phases }) => phases.message.p50Us / 1000),
      text(({ phases }) => phases.message.p99Us / 1000),
      condition === CALM ? '-' : text(({ flood }) => flood?.connects ?? 0),
      condition === CALM ? '-' : text(({ flood }) => flood?.replies[421] ?? 0),
    ];
  });
  return {
    title: 'the other clients, median (least-most)',
    columns: ['', 'messages/s', 'CPU ms/message', 'message p50 ms', 'message p99 ms', 'flooded', 'refused'],
    rows,
  };
}
