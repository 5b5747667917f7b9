/** Mail of all sizes, as people send it: half of it small, and a tail of attachments. */
import type { Bench, Outcome, Scenario } from '../bench.ts';
import {
  cpuMsPerMessage,
  type Figure,
  perSecond,
  type Target,
  type Turns,
  takeTurns,
  type Way,
} from '../measure/turns.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, type Spread, spreadText } from '../report.ts';

/** Of the 256 sizes that the source draws from (load/text_sizes.ts) the largest is 10 MB: ln(10e6 / 12288) / 2.6. */
const SIZES = { medianBytes: 12_288, sigma: 2.58, bytesMax: 10_000_000 } as const;
const CONNECTIONS = 50;
const MESSAGES_PER_CONNECTION = 20;

const WAY: Way = {
  name: `${CONNECTIONS} connections`,
  load: { connections: CONNECTIONS, messagesPerConnection: MESSAGES_PER_CONNECTION, sizes: SIZES, pipelining: true },
  phase: 'end',
  messages: 3_000,
};

export const relayMixed: Scenario = {
  name: 'relay-mixed',
  question: 'how much mail of all sizes does the relay accept durably and hand on?',
  load:
    `log-normal sizes, median ${SIZES.medianBytes} bytes, the largest ${SIZES.bytesMax / 1e6} MB, ${CONNECTIONS} ` +
    `connections at once, reused for ${MESSAGES_PER_CONNECTION} messages each, PIPELINING; and the same without a relay`,
  bound:
    'CPU and disk, by bytes: most messages are small, and most bytes are in few. It would surprise if a MB cost more ' +
    'than in relay-large, or if small messages had to wait for large ones: a median 250 much above that of relay-small',
  checks: 'every message that was answered 250 is at the sink, its CRC-32 as sent',
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const ends = { sink: bench.sink(), source: bench.source() };
  const { port } = await ends.sink.call('listen', {});
  const postern = await relayTo(bench, 'postern', port);
  const targets: Target[] = [
    { name: 'direct', port, pid: 0 },
    { name: 'postern', port: postern.outside.port, pid: postern.pid },
  ];
  const { turns, failures } = await takeTurns(bench, ends, [WAY], targets);
  return {
    headlines: headlines(turns),
    ratios: [{ name: 'bytes a second / direct', better: 'more', ...bytesRatio(turns) }],
    charts: turns.charts(WAY, targets),
    tables: [turns.table(WAY, targets), bytesTable(turns, targets)],
    failures,
    figures: turns.all,
  };
}

const megabytesPerSecond: Figure = ({ bytesPerSecond }) => bytesPerSecond / 1e6;
/** A message's share of the bytes that came in its turn. */
const cpuMsPerMegabyte: Figure = (turn) => cpuMsPerMessage(turn) / (megabytesPerSecond(turn) / perSecond(turn));

const of = (turns: Turns, target: string, figure: Figure): Spread => turns.spread(WAY.name, target, figure);

const bytesRatio = (turns: Turns): Spread => turns.ratio(WAY.name, 'postern', 'direct', megabytesPerSecond);

const headlines = (turns: Turns): string[] => [
  // By bytes: each turn draws its own sizes, and a few large ones more make a rate of messages another.
  `${spreadText(bytesRatio(turns))} of the direct ceiling, by bytes`,
  `${spreadText(of(turns, 'postern', megabytesPerSecond))} MB/s in ${spreadText(of(turns, 'postern', perSecond))} ` +
    `messages/s; median 250 after ${digits(of(turns, 'postern', ({ phases }) => phases.end.p50Us / 1000).median)} ms`,
];

const bytesTable = (turns: Turns, targets: readonly Target[]): Outcome['tables'][number] => ({
  title: 'bytes, median (least-most)',
  columns: ['', 'MB/s', 'CPU ms/MB'],
  rows: targets.map(({ name, pid }) => [
    name,
    spreadText(of(turns, name, megabytesPerSecond)),
    pid === 0 ? '-' : spreadText(of(turns, name, cpuMsPerMegabyte)),
  ]),
});
