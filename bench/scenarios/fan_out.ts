/** One message to a hundred recipients at ten sites, beside ten messages to one recipient each. */
import { type Bench, faultsOf, type Outcome, pause, type Scenario } from '../bench.ts';
import type { Child } from '../load/child.ts';
import { startDnsServer, type Zone } from '../load/dns_server.ts';
import type { SinkApi } from '../load/sink.ts';
import type { SourceApi, SourceOptions } from '../load/source.ts';
import { nowUs } from '../load/stamp.ts';
import { treeCpuMs } from '../measure/processes.ts';
import { warmSeconds } from '../measure/warm.ts';
import type { Postern } from '../peers/postern.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, type Spread, spreadOf, spreadText } from '../report.ts';

const SITES = 10;
const RECIPIENTS = 100;
const CONNECTIONS = 10;
const BYTES = 20_000;
/** Of either kind come as many copies to the sites. */
const COPIES = 10_000;
const QUICK_COPIES = 1_000;
const POLL_MS = 10;
const STALL_MS_MAX = 20_000;
const SETTLE_MS = 1_000;

type Kind = { readonly name: string; readonly recipients: number; readonly copies: number };
const ONE: Kind = { name: 'one recipient', recipients: 1, copies: 1 };
const MANY: Kind = { name: `${RECIPIENTS} recipients at ${SITES} sites`, recipients: RECIPIENTS, copies: SITES };

export const fanOut: Scenario = {
  name: 'fan-out',
  question: 'what does a message to many recipients at many sites cost, beside as many messages to one each?',
  load:
    `from inside to MXes: ${BYTES}-byte messages, each to ${RECIPIENTS} recipients, drawn from ${SITES} sites; and, ` +
    `in turn, ${SITES} times as many to one recipient each; ${CONNECTIONS} connections, reused`,
  bound:
    'CPU, and what a site lets have at once (20 connections). A message is written once, and goes to each site once ' +
    'with all its recipients there. It would surprise if a copy of it cost as much CPU as a message to one',
  checks:
    'every message was answered 250 and every recipient was named to the sink exactly once, all copies intact; the ' +
    'large ones come once to each of their sites',
  run,
};

type Figures = {
  readonly round: number;
  readonly kind: string;
  readonly messages: number;
  readonly copies: number;
  readonly copiesPerSecond: number;
  readonly recipientsPerSecond: number;
  readonly cpuMsPerCopy: number;
  readonly acceptedP99Ms: number;
};

type Stage = {
  readonly source: Child<SourceApi>;
  readonly sink: Child<SinkApi>;
  readonly postern: Postern;
};

async function run(bench: Bench): Promise<Outcome> {
  const sink = bench.sink();
  const { port } = await sink.call('listen', { host: '0.0.0.0' });
  const dns = await startDnsServer({ zone: zone(), ttlSeconds: 3600 });
  bench.started({ stop: () => dns.close() });
  const environment = {
    OUTSIDE_ROUTE: 'mx',
    OUTSIDE_PORT: `${port}`,
    ALLOW_PRIVATE_MX: '1',
    DNS_SERVERS: `127.0.0.1:${dns.port}`,
  };
  const stage: Stage = {
    source: bench.source(),
    sink,
    postern: await relayTo(bench, 'postern', port, { environment }),
  };
  const copies = bench.settings.quick ? QUICK_COPIES : COPIES;
  const figures: Figures[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= bench.settings.rounds; round++) {
    for (const kind of round % 2 === 1 ? [ONE, MANY] : [MANY, ONE]) {
      const cold = await measure(stage, kind, { seconds: warmSeconds(bench.settings, round) });
      const { faults, ...one } = await measure(stage, kind, { messages: copies / kind.copies });
      bench.say(`  round ${round}, ${kind.name}: ${digits(one.copiesPerSecond)} copies/s`);
      figures.push({ round, ...one });
      failures.push(...cold.faults, ...faults);
    }
  }
  const cpu = cpuShare(figures);
  return {
    headlines: headlines(figures, cpu),
    ratios: [{ name: 'CPU a copy / one recipient', better: 'less', ...cpu }],
    tables: [table(figures)],
    failures,
    figures,
  };
}

/** Each site has one MX, at an address of its own, all of them the sink. */
function zone(): Zone {
  const sites = Array.from({ length: SITES }, (_, site) => site);
  return Object.fromEntries(
    sites.flatMap((site) => [
      [`site${site}.example`, { MX: [{ preference: 10, exchange: `mx.site${site}.example` }] }],
      [`mx.site${site}.example`, { A: [`127.0.2.${site + 1}`] }],
    ]),
  );
}

type Measured = Omit<Figures, 'round'> & { readonly faults: readonly string[] };

async function measure(
  { source, sink, postern }: Stage,
  kind: Kind,
  amount: Pick<SourceOptions, 'messages' | 'seconds'>,
): Promise<Measured> {
  const { name, recipients, copies: copiesEach } = kind;
  const load: SourceOptions = {
    port: postern.inside.port,
    connections: CONNECTIONS,
    ...amount,
    messagesPerConnection: 500,
    bytes: BYTES,
    recipients,
    pipelining: true,
    from: 'bench@example.org',
    to: `user%n-%r@site%{${SITES}}.example`,
  };
  const before = await sink.call('stats', undefined);
  const cpuBefore = treeCpuMs(postern.pid);
  const report = await source.call('run', load);
  const { acknowledged } = report;
  const named = acknowledged * recipients;
  const lastUs = await untilNamed(sink, before.recipients + named);
  await pause(SETTLE_MS);
  const cpuMs = treeCpuMs(postern.pid) - cpuBefore;
  const after = await sink.call('stats', undefined);
  // A number that has come is seen again with each other site of the message.
  const counts = await sink.call('counts', report.run);
  const { distinct, duplicates } = counts;
  const came = distinct + duplicates;
  const seconds = (lastUs - report.firstConnectUs) / 1e6;
  const faults = faultsOf(name, report, { counts, lost: [] });
  if (distinct < acknowledged) faults.push(`${name}: ${acknowledged - distinct} messages came to no site`);
  if (after.recipients - before.recipients !== named)
    faults.push(`${name}: ${after.recipients - before.recipients} recipients named at the sink, not ${named}`);
  if (came > acknowledged * copiesEach) faults.push(`${name}: ${came} copies, of ${acknowledged * copiesEach} at most`);
  return {
    kind: name,
    messages: acknowledged,
    copies: came,
    copiesPerSecond: came / seconds,
    recipientsPerSecond: named / seconds,
    cpuMsPerCopy: cpuMs / came,
    acceptedP99Ms: report.phases.end.p99Us / 1000,
    faults,
  };
}

/** When so many recipients had been named in all, or nothing more came. */
async function untilNamed(sink: Child<SinkApi>, recipients: number): Promise<number> {
  let named = -1;
  for (let changedMs = performance.now(); performance.now() - changedMs < STALL_MS_MAX; await pause(POLL_MS)) {
    const before = named;
    named = (await sink.call('stats', undefined)).recipients;
    if (named >= recipients) break;
    if (named !== before) changedMs = performance.now();
  }
  return nowUs();
}

const of = (all: readonly Figures[], kind: Kind, figure: (one: Figures) => number): number[] =>
  all.filter((one) => one.kind === kind.name).map(figure);

const cpuMsPerCopy = (one: Figures): number => one.cpuMsPerCopy;

/** Of a copy for a site, to that of a message to one recipient, round by round. */
function cpuShare(all: readonly Figures[]): Spread {
  const shares = all
    .filter(({ kind }) => kind === ONE.name)
    .map((one) => {
      const beside = all.find(({ kind, round }) => kind === MANY.name && round === one.round);
      return (beside?.cpuMsPerCopy ?? Number.NaN) / one.cpuMsPerCopy;
    });
  return spreadOf(shares);
}

const headlines = (all: readonly Figures[], cpu: Spread): string[] => [
  `a copy for a site takes ${spreadText(cpu)} of the CPU time of a message to one recipient; ` +
    `${spreadText(spreadOf(of(all, MANY, ({ recipientsPerSecond }) => recipientsPerSecond)))} recipients/s`,
];

function table(all: readonly Figures[]): Outcome['tables'][number] {
  const columns: readonly (readonly [string, (one: Figures) => number])[] = [
    ['messages', ({ messages }) => messages],
    ['copies/s', ({ copiesPerSecond }) => copiesPerSecond],
    ['recipients/s', ({ recipientsPerSecond }) => recipientsPerSecond],
    ['CPU ms/copy', cpuMsPerCopy],
    ['250 p99 ms', ({ acceptedP99Ms }) => acceptedP99Ms],
  ];
  return {
    title: 'from inside to MXes, median (least-most)',
    columns: ['', ...columns.map(([name]) => name)],
    rows: [ONE, MANY].map((kind) => [
      kind.name,
      ...columns.map(([, figure]) => spreadText(spreadOf(of(all, kind, figure)))),
    ]),
  };
}
