/** 4 KiB messages through each relay in turn, round after round, so that all of them meet the same noise. */
import type { Bench, Outcome, Ratio, Scenario } from '../bench.ts';
import { cpuMsPerMessage, type Figure, perSecond, type Turns, takeTurns, type Way } from '../measure/turns.ts';
import { type Relay, startRelays } from '../peers/relays.ts';
import { spreadText } from '../report.ts';

const CONNECTIONS = 50;
const BYTES = 4096;
/** Less than what Postern lets one session send by default (POSTERN_SESSION_MESSAGES_MAX). */
const MESSAGES_PER_CONNECTION = 500;
/** Little enough that latencies are compared at equal work; whoever cannot bear it shows it by the rate. */
const RATE = 200;
const WARM_MESSAGES = 300;

const LOAD = { connections: CONNECTIONS, bytes: BYTES, pipelining: true } as const;
type Kind = 'direct' | 'postern' | 'peer';
type SmallWay = Omit<Way, 'messages'> & { readonly messages: Readonly<Record<Kind, number>> };
const WAYS: readonly SmallWay[] = [
  {
    name: 'a connection per message',
    load: { ...LOAD, messagesPerConnection: 1 },
    phase: 'end',
    messages: { direct: 15_000, postern: 10_000, peer: 2_500 },
    warmMessages: WARM_MESSAGES,
  },
  {
    name: 'connections reused',
    load: { ...LOAD, messagesPerConnection: MESSAGES_PER_CONNECTION },
    phase: 'end',
    messages: { direct: 60_000, postern: 25_000, peer: 2_500 },
    warmMessages: WARM_MESSAGES,
  },
  {
    name: `${RATE} a second, a connection per message`,
    load: { ...LOAD, messagesPerConnection: 1, rate: RATE },
    phase: 'message',
    messages: { direct: 600, postern: 600, peer: 600 },
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
  compares: true,
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const ends = { sink: bench.sink(), source: bench.source() };
  const { port } = await ends.sink.call('listen', {});
  const relays = await startRelays(bench, port);
  const ways = WAYS.map((way) => ({ ...way, messages: messagesOf(way, relays) }));
  const { turns, failures } = await takeTurns(bench, ends, ways, relays);
  const ratios = ratiosOf(turns, relays);
  return {
    headlines: ratios.map((ratio) => `${ratio.name}: ${spreadText(ratio)}`),
    ratios,
    charts: ways.flatMap((way) => turns.charts(way, relays)),
    relays: relays.map(({ name, version, durability }) => ({ name, version, durability })),
    tables: ways.map((way) => turns.table(way, relays)),
    failures,
    figures: turns.all,
  };
}

function messagesOf({ messages }: SmallWay, relays: readonly Relay[]): Record<string, number> {
  const kindOf = (name: string): Kind =>
    name === 'direct' ? 'direct' : name.startsWith('postern') ? 'postern' : 'peer';
  return Object.fromEntries(relays.map(({ name }) => [name, messages[kindOf(name)]]));
}

const sourceCpu: Figure = ({ cpuMsPerMessage, sourceCpuMsPerMessage }) => cpuMsPerMessage / sourceCpuMsPerMessage;
const dueP99: Figure = ({ phases }) => phases.message.p99Us;

type Compared = Pick<Relay, 'name' | 'pid' | 'cpuUnknown'>;

export const ratiosOf = (turns: Turns, relays: readonly Compared[]): Ratio[] =>
  WAYS.flatMap((way) => ratiosOfWay(turns, way, relays));

/** Postern to each of the others: rate and CPU time where the load takes all it can, latency where it is the same. */
function ratiosOfWay(turns: Turns, { name: way, phase }: SmallWay, relays: readonly Compared[]): Ratio[] {
  const to = (other: string, words: string, better: Ratio['better'], figure: Figure): Ratio => ({
    name: `${way}: ${words} / ${other}`,
    better,
    ...turns.ratio(way, 'postern', other, figure),
  });
  const others = relays.filter(({ name }) => name !== 'postern');
  if (phase === 'message') return others.map(({ name }) => to(name, 'p99', 'less', dueP99));
  return [
    ...others.flatMap(({ name, pid, cpuUnknown }) => [
      to(name, 'rate', 'more', perSecond),
      ...(pid === 0 || cpuUnknown !== undefined ? [] : [to(name, 'CPU a message', 'less', cpuMsPerMessage)]),
    ]),
    { name: `${way}: CPU a message / the source`, better: 'less', ...turns.spread(way, 'postern', sourceCpu) },
  ];
}
