/** 4 KiB messages through each relay in turn, round after round, so that all of them meet the same noise. */
import type { Bench, Outcome, Ratio, Scenario } from '../bench.ts';
import { cpuMsPerMessage, type Figure, Paced, perSecond, type Turns, takeTurns, type Way } from '../measure/turns.ts';
import { type Relay, startRelays } from '../peers/relays.ts';
import { spreadText } from '../report.ts';

const CONNECTIONS = 50;
const BYTES = 4096;
/** Less than what Postern lets one session send by default (POSTERN_SESSION_MESSAGES_MAX). */
const MESSAGES_PER_CONNECTION = 500;
/** Little enough that latencies are compared at equal work; whoever cannot bear it shows it by the rate. */
const RATE = 200;

const LOAD = { connections: CONNECTIONS, bytes: BYTES, pipelining: true } as const;
/** Of the rate that each carries at most: where it is to be at its ease. */
const EASE = 0.5;
const EASE_SECONDS = 3;

const EACH = 'a connection per message';
const REUSED = 'connections reused';
const AT_EASE = 'half of its rate, connections reused';
type Kind = 'direct' | 'postern' | 'peer';
type SmallWay = Omit<Way, 'messages'> & { readonly messages: Readonly<Record<Kind, number>> | Paced };
const WAYS: readonly SmallWay[] = [
  {
    name: EACH,
    load: { ...LOAD, messagesPerConnection: 1 },
    phase: 'end',
    messages: { direct: 40_000, postern: 18_000, peer: 2_500 },
  },
  {
    name: REUSED,
    load: { ...LOAD, messagesPerConnection: MESSAGES_PER_CONNECTION },
    phase: 'end',
    messages: { direct: 80_000, postern: 40_000, peer: 2_500 },
  },
  {
    name: `${RATE} a second, a connection per message`,
    load: { ...LOAD, messagesPerConnection: 1, rate: RATE },
    phase: 'message',
    messages: { direct: 600, postern: 600, peer: 600 },
  },
  {
    name: AT_EASE,
    load: { ...LOAD, messagesPerConnection: MESSAGES_PER_CONNECTION },
    phase: 'message',
    messages: new Paced(REUSED, EASE, EASE_SECONDS),
    bareSyncs: true,
  },
];

export const relaySmall: Scenario = {
  name: 'relay-small',
  question: 'how many small messages a second does the relay accept durably and hand on, and what do they cost?',
  load:
    `${BYTES}-byte messages, ${CONNECTIONS} at once, PIPELINING: (a) a connection per message, ` +
    `(b) connections reused for ${MESSAGES_PER_CONNECTION} each, (c) open loop, ${RATE} messages a second, (d) open ` +
    `loop, connections reused, at half of the rate that each has just had in (b), beside 4 KiB writes with fdatasync ` +
    'to the bare disk',
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
    headlines: [...ratios.map((ratio) => `${ratio.name}: ${spreadText(ratio)}`), ...absolutes(turns)],
    ratios,
    charts: ways.flatMap((way) => turns.charts(way, relays)),
    relays: relays.map(({ name, version, durability }) => ({ name, version, durability })),
    tables: ways.map((way) => turns.table(way, relays)),
    failures,
    figures: turns.all,
  };
}

function messagesOf({ messages }: SmallWay, relays: readonly Relay[]): Way['messages'] {
  if (messages instanceof Paced) return messages;
  const kindOf = (name: string): Kind =>
    name === 'direct' ? 'direct' : name.startsWith('postern') ? 'postern' : 'peer';
  return Object.fromEntries(relays.map(({ name }) => [name, messages[kindOf(name)]]));
}

const sourceCpu: Figure = ({ cpuMsPerMessage, sourceCpuMsPerMessage }) => cpuMsPerMessage / sourceCpuMsPerMessage;
const dueP99: Figure = ({ phases }) => phases.message.p99Us;
const endP99: Figure = ({ phases }) => phases.end.p99Us;
const toBareSync: Figure = (turn) => endP99(turn) / turn.bareP99Us;
const inMs =
  (figure: Figure): Figure =>
  (turn) =>
    figure(turn) / 1000;

/** What is asked for in units of its own, and is this machine's as much as ours. */
function absolutes(turns: Turns): string[] {
  const text = (way: string, figure: Figure): string => spreadText(turns.spread(way, 'postern', figure));
  const beyond: Figure = (turn) => endP99(turn) - turn.bareP99Us;
  return [
    `${REUSED}: ${text(REUSED, cpuMsPerMessage)} ms of CPU a message`,
    `${AT_EASE}: p99 of the 250 is ${text(AT_EASE, inMs(endP99))} ms from the end of data, ` +
      `${text(AT_EASE, inMs(beyond))} ms more than of a bare sync, and ${text(AT_EASE, inMs(dueP99))} ms from when it was due`,
  ];
}

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
  // Each at a rate of its own: what is alike is the disk.
  if (way === AT_EASE)
    return [{ name: `${way}: p99 / a bare sync`, better: 'less', ...turns.spread(way, 'postern', toBareSync) }];
  if (phase === 'message') return others.map(({ name }) => to(name, 'p99', 'less', dueP99));
  return [
    ...others.flatMap(({ name, pid, cpuUnknown }) => [
      to(name, 'rate', 'more', perSecond),
      ...(pid === 0 || cpuUnknown !== undefined ? [] : [to(name, 'CPU a message', 'less', cpuMsPerMessage)]),
    ]),
    { name: `${way}: CPU a message / the source`, better: 'less', ...turns.spread(way, 'postern', sourceCpu) },
  ];
}
