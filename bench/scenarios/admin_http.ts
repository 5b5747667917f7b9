/** Whoever watches Postern while it relays: status, metrics and health, now and then, and without a pause. */
import type { Bench, Outcome, Scenario } from '../bench.ts';
import { Child } from '../load/child.ts';
import type { HttpCounts, HttpLoadApi, HttpLoadOptions } from '../load/http_load.ts';
import type { SourceOptions } from '../load/source.ts';
import { type Carried, carried, type Ends } from '../measure/carried.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, type Spread, spreadOf, spreadText } from '../report.ts';

const PATHS = ['/metrics', '/api/status', '/healthz'] as const;
const HTTP_CONNECTIONS = 6;
const POLLED_PER_SECOND = 20;
const CONNECTIONS = 50;
const BYTES = 4096;
const MESSAGES = 8_000;
const QUICK_MESSAGES = 600;
const POLLED_SHARE_MIN = 0.9;

const CONDITIONS = {
  alone: null,
  polled: { perSecond: POLLED_PER_SECOND },
  'without a pause': {},
} as const satisfies Record<string, Partial<HttpLoadOptions> | null>;
type Condition = keyof typeof CONDITIONS;
const NAMES = Object.keys(CONDITIONS) as Condition[];

export const adminHttp: Scenario = {
  name: 'admin-http',
  question: 'does it disturb the mail to be watched, and are those who watch answered while mail flows?',
  load:
    `${CONNECTIONS} connections at once, one ${BYTES}-byte message each, in a closed loop; beside it nobody, ` +
    `${POLLED_PER_SECOND} requests a second for ${PATHS.join(', ')} in turn, or ${HTTP_CONNECTIONS} connections of ` +
    'autocannon that ask as soon as they are answered',
  bound:
    "the gate's thread, which answers them, accepts the mail's connections, too; and the CPU of autocannon. " +
    `Less than ${POLLED_SHARE_MIN * 100} % of the rate where it is polled would mean that an answer costs too much`,
  checks:
    'every message that was answered 250 is at the sink, its CRC-32 as sent; every request was answered with ' +
    'a status of 200',
  run,
};

type Figures = Omit<Carried, 'faults'> & {
  readonly round: number;
  readonly condition: Condition;
  readonly http: HttpCounts | null;
};

async function run(bench: Bench): Promise<Outcome> {
  const ends: Ends = { sink: bench.sink(), source: bench.source() };
  const watcher = bench.started(new Child<HttpLoadApi>('http_load.ts'));
  const { port: sinkPort } = await ends.sink.call('listen', {});
  const { pid, outside, admin } = await relayTo(bench, 'postern', sinkPort);
  const asked = { url: `http://${admin?.host}:${admin?.port}`, paths: PATHS, connections: HTTP_CONNECTIONS };
  const load: SourceOptions = {
    port: outside.port,
    connections: CONNECTIONS,
    messagesPerConnection: 1,
    messages: bench.settings.quick ? QUICK_MESSAGES : MESSAGES,
    bytes: BYTES,
    pipelining: true,
  };
  await carried('warming up', ends, pid, { ...load, messages: QUICK_MESSAGES });
  const figures: Figures[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= bench.settings.rounds; round++) {
    for (const condition of round % 2 === 1 ? NAMES : NAMES.toReversed()) {
      const watched = CONDITIONS[condition];
      if (watched !== null) await watcher.call('start', { ...asked, ...watched });
      const { faults, ...one } = await carried(condition, ends, pid, load);
      const http = watched === null ? null : await watcher.call('stop', undefined);
      bench.say(`  round ${round}, ${condition}: ${digits(one.perSecond)}/s`);
      figures.push({ ...one, round, condition, http });
      failures.push(...faults, ...(http === null ? [] : httpFaults(condition, http)));
    }
  }
  const share = ratio(figures, 'polled');
  if (!bench.settings.quick && share.median < POLLED_SHARE_MIN)
    failures.push(`${digits(share.median)} of the rate where it is polled; ${POLLED_SHARE_MIN} is wanted`);
  return {
    headlines: headlines(figures),
    ratios: [{ name: 'polled: rate / alone', better: 'more', ...share }],
    tables: [table(figures)],
    failures,
    figures,
  };
}

const httpFaults = (condition: Condition, { requests, failed }: HttpCounts): string[] =>
  failed === 0 && requests > 0 ? [] : [`${condition}: ${requests} requests answered, ${failed} failed`];

const of = (all: readonly Figures[], condition: Condition): Figures[] =>
  all.filter((one) => one.condition === condition);

/** To the rate with nobody beside it, round by round. */
function ratio(all: readonly Figures[], condition: Condition): Spread {
  const rateIn = new Map(of(all, 'alone').map(({ round, perSecond }) => [round, perSecond]));
  return spreadOf(of(all, condition).map(({ round, perSecond }) => perSecond / rateIn.get(round)!));
}

const headlines = (all: readonly Figures[]): string[] => [
  `the mail keeps ${spreadText(ratio(all, 'polled'))} of its rate with ${POLLED_PER_SECOND} requests a second, ` +
    `${spreadText(ratio(all, 'without a pause'))} with as many as are answered`,
];

function table(all: readonly Figures[]): Outcome['tables'][number] {
  const rows = NAMES.map((condition) => {
    const own = of(all, condition);
    const text = (figure: (one: Figures) => number): string => spreadText(spreadOf(own.map(figure)));
    const http = (figure: (counts: HttpCounts) => number): string =>
      condition === 'alone' ? '-' : text(({ http: counts }) => (counts === null ? 0 : figure(counts)));
    return [
      condition,
      text(({ perSecond }) => perSecond),
      text(({ cpuMsPerMessage }) => cpuMsPerMessage),
      text(({ phases }) => phases.message.p99Us / 1000),
      http(({ perSecond }) => perSecond),
      http(({ p50Ms }) => p50Ms),
      http(({ p99Ms }) => p99Ms),
    ];
  });
  return {
    title: 'mail and requests, median (least-most)',
    columns: ['', 'messages/s', 'CPU ms/message', 'message p99 ms', 'requests/s', 'request p50 ms', 'request p99 ms'],
    rows,
  };
}
