/** One client connects without end; the others send their mail. */
import { type Bench, type Outcome, pause, type Ratio, type Scenario } from '../bench.ts';
import { Child } from '../load/child.ts';
import type { FloodApi, FloodCounts } from '../load/flood.ts';
import type { Ends } from '../measure/carried.ts';
import { readMetrics } from '../measure/metrics.ts';
import { perSecond, type Target, type Turns, takeTurns, type Way } from '../measure/turns.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, spreadOf, spreadText } from '../report.ts';

const FLOOD_PER_SECOND = 1_000;
const FLOODER = '127.0.0.66';
const CLIENTS = Array.from({ length: 10 }, (_, index) => `127.0.1.${index + 1}`);
const CONNECTIONS = 50;
const BYTES = 4096;
/** What is there by default; the flooder may hold so many. */
const CLIENT_CONNECTIONS_MAX = 100;
const RATE_SHARE_MIN = 0.8;

const CALM = 'no flood';
const ELSEWHERE = 'flood, elsewhere';
const HERE = 'flood';

const WAY: Way = {
  name: 'the other clients',
  load: {
    connections: CONNECTIONS,
    messagesPerConnection: 1,
    bytes: BYTES,
    pipelining: true,
    localAddresses: CLIENTS,
  },
  phase: 'message',
  messages: 12_000,
};

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

async function run(bench: Bench): Promise<Outcome> {
  const ends: Ends = { sink: bench.sink(), source: bench.source() };
  const flooder = bench.started(new Child<FloodApi>('flood.ts'));
  const victim = bench.started(new Child<FloodApi>('flood.ts'));
  const { port: sinkPort } = await ends.sink.call('listen', {});
  const { admin, outside, pid } = await relayTo(bench, 'postern', sinkPort, {
    environment: { CLIENT_CONNECTIONS_MAX: `${CLIENT_CONNECTIONS_MAX}` },
  });
  const floods: (FloodCounts & { readonly target: string })[] = [];
  const flooded = (name: string, port: number): Target => ({
    name,
    port: outside.port,
    pid,
    beside: async () => {
      await flooder.call('start', { host: '127.0.0.1', port, localAddress: FLOODER, perSecond: FLOOD_PER_SECOND });
      return async () => {
        const counts = await flooder.call('stop', undefined);
        floods.push({ target: name, ...counts });
        if (name === ELSEWHERE) return [];
        await untilLeft(admin);
        return floodFaults(counts);
      };
    },
  });
  const targets: Target[] = [
    { name: CALM, port: outside.port, pid },
    flooded(ELSEWHERE, await victim.call('refuse', undefined)),
    flooded(HERE, outside.port),
  ];
  const { turns, failures } = await takeTurns(bench, ends, [WAY], targets);
  const ratios = ratiosOf(turns);
  const [toCalm] = ratios;
  const elsewhere = turns.ratio(WAY.name, ELSEWHERE, CALM, perSecond);
  if (!bench.settings.quick && toCalm.median < RATE_SHARE_MIN)
    failures.push(`${digits(toCalm.median)} of the rate without a flood; ${RATE_SHARE_MIN} is wanted`);
  return {
    headlines: [
      `others keep ${spreadText(toCalm)} of their rate; ${spreadText(elsewhere)} when the flood goes elsewhere on ` +
        'the same machine',
    ],
    ratios,
    tables: [turns.table(WAY, targets), floodTable(floods)],
    failures,
    figures: { turns: turns.all, floods },
  };
}

export const ratiosOf = (turns: Turns): [Ratio, Ratio] => [
  { name: 'rate of others / no flood', better: 'more', ...turns.ratio(WAY.name, HERE, CALM, perSecond) },
  { name: 'rate of others / flood elsewhere', better: 'more', ...turns.ratio(WAY.name, HERE, ELSEWHERE, perSecond) },
];

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

const floodTable = (floods: readonly (FloodCounts & { readonly target: string })[]): Outcome['tables'][number] => ({
  title: 'the flood, median (least-most)',
  columns: ['', 'connections', 'refused'],
  rows: [ELSEWHERE, HERE].map((name) => {
    const own = floods.filter(({ target }) => target === name);
    const text = (figure: (one: FloodCounts) => number): string => spreadText(spreadOf(own.map(figure)));
    return [name, text(({ connects }) => connects), text(({ replies }) => replies[421] ?? 0)];
  }),
});
