/** Clients that dribble their content a byte at a time, beside others that send as mail is sent. */
import { type Bench, type Outcome, pause, type Scenario } from '../bench.ts';
import type { Child } from '../load/child.ts';
import type { SourceApi, SourceOptions } from '../load/source.ts';
import { type Carried, carried, type Ends } from '../measure/carried.ts';
import { warmSeconds, warmUp } from '../measure/warm.ts';
import type { Postern } from '../peers/postern.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, spreadOf, spreadText } from '../report.ts';

const SLOW = 300;
const QUICK_SLOW = 30;
const BYTE_MS = 250;
/** Until each is within its content: 110 bytes of commands come before that. */
const INTO_CONTENT_MS = 110 * BYTE_MS + 3_000;
const QUICK_INTO_CONTENT_MS = 3_000;
/** POSTERN_DATA_BYTES_PER_SECOND_MIN is looked at over a minute of content. */
const CUT_AFTER_SECONDS = 60;
const CUT_LATE_SECONDS = 15;
const CONNECTIONS = 50;
const BYTES = 4096;
const MESSAGES = 12_000;
const QUICK_MESSAGES = 400;
const RATE_SHARE_MIN = 0.8;

export const slowClients: Scenario = {
  name: 'slow-clients',
  question: 'what do clients cost that hold their sessions with a byte now and then, and are they cut off?',
  load:
    `${SLOW} clients that send ${1000 / BYTE_MS} bytes a second (commands, then content without end), beside ` +
    `${CONNECTIONS} connections in a closed loop, a ${BYTES}-byte message each; the latter alone before and after`,
  bound:
    `a minute: slower than 100 bytes a second over so long is cut off with 421. It would surprise: less than ` +
    `${RATE_SHARE_MIN * 100} % of the rate for the others (what a held session takes of memory is asked in idle-10k)`,
  checks:
    'every message of the others was answered 250 and is at the sink, its CRC-32 as sent; each slow client was cut ' +
    'off with 421 when its minute was over (not with --quick, which ends before)',
  run,
};

type Stage = { readonly bench: Bench; readonly ends: Ends; readonly postern: Postern; readonly load: SourceOptions };

async function run(bench: Bench): Promise<Outcome> {
  const { quick } = bench.settings;
  const ends: Ends = { sink: bench.sink(), source: bench.source() };
  const { port: sinkPort } = await ends.sink.call('listen', {});
  const postern = await relayTo(bench, 'postern', sinkPort);
  const load: SourceOptions = {
    port: postern.outside.port,
    connections: CONNECTIONS,
    messagesPerConnection: 1,
    messages: quick ? QUICK_MESSAGES : MESSAGES,
    bytes: BYTES,
    pipelining: true,
  };
  const stage: Stage = { bench, ends, postern, load };
  const cold = await warmUp('alone', ends, load, warmSeconds(bench.settings, 1));
  const before = await others(stage, 'before');
  const slow = await beside(stage, bench.source());
  const after = await others(stage, 'after');
  const shares = [before, after].map((calm) => slow.others.perSecond / calm.perSecond);
  const share = spreadOf(shares);
  const failures = [...cold, ...before.faults, ...slow.others.faults, ...after.faults, ...slow.faults];
  if (!quick && share.median < RATE_SHARE_MIN) failures.push(`${digits(share.median)} of the rate for the others`);
  return {
    headlines: [
      `others keep ${spreadText(share)} of their rate (to before and to after)`,
      quick ? 'too short to see them cut off' : `${slow.cut} of ${slow.clients} cut off with 421`,
    ],
    ratios: [{ name: 'rate of others / alone', better: 'more', ...share }],
    tables: [table([before, slow.others, after], slow)],
    failures,
    figures: { before, after, slow },
  };
}

const others = ({ ends, postern, load }: Stage, name: string): Promise<Carried> =>
  carried(name, ends, postern.pid, load);

type Slow = {
  readonly clients: number;
  readonly others: Carried;
  readonly cut: number;
  readonly faults: readonly string[];
};

async function beside(stage: Stage, dribbler: Child<SourceApi>): Promise<Slow> {
  const { quick } = stage.bench.settings;
  const { outside } = stage.postern;
  const clients = quick ? QUICK_SLOW : SLOW;
  const intoContentMs = quick ? QUICK_INTO_CONTENT_MS : INTO_CONTENT_MS;
  const seconds = Math.ceil(intoContentMs / 1000) + (quick ? 10 : CUT_AFTER_SECONDS + CUT_LATE_SECONDS);
  // One message in all of its own: it is there for those who dribble.
  const options = {
    port: outside.port,
    connections: 1,
    rate: 1 / seconds,
    seconds,
    slow: clients,
    slowByteMs: BYTE_MS,
  };
  const dribbled = dribbler.call('run', options);
  dribbled.catch(() => undefined); // awaited below
  await pause(intoContentMs);
  const carriedBeside = await others(stage, 'beside slow clients');
  stage.bench.say(`  beside ${clients} slow clients: ${digits(carriedBeside.perSecond)}/s`);
  const { misbehaving } = await dribbled;
  const { connections = 0, cut = 0, replies = {} } = misbehaving.slow ?? {};
  const faults: string[] = [];
  if (connections < clients) faults.push(`${connections} of ${clients} slow clients have connected`);
  if (!quick && (replies[421] ?? 0) < clients) faults.push(`${replies[421] ?? 0} of ${clients} slow clients had a 421`);
  if (!quick && cut < clients) faults.push(`${cut} of ${clients} slow clients were cut off`);
  return { clients, others: carriedBeside, cut, faults };
}

function table(all: readonly Carried[], slow: Slow): Outcome['tables'][number] {
  const names = ['alone, before', `beside ${slow.clients} slow clients`, 'alone, after'];
  return {
    title: 'the others',
    columns: ['', 'messages/s', 'CPU ms/message', 'message p50 ms', 'message p99 ms'],
    rows: all.map(({ perSecond, cpuMsPerMessage, phases }, at) => [
      names[at]!,
      digits(perSecond),
      digits(cpuMsPerMessage),
      digits(phases.message.p50Us / 1000),
      digits(phases.message.p99Us / 1000),
    ]),
  };
}
