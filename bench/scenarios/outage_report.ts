/** What a long outage came to (deferred_million.ts): headlines, tables, and what was not as wanted. Pure. */
import type { Table } from '../bench.ts';
import type { Tenth } from '../measure/course.ts';
import { digits, mib, spreadOf } from '../report.ts';

const RSS_BYTES_MAX = 600_000_000;
const READY_MS_MAX = 10_000;
const LAST_TO_FIRST_MIN = 0.8;
/** A tenth of fewer messages is over in a few seconds: its rate is the machine's mood. */
const RATE_MESSAGES_MIN = 100_000;

/** A start with the full queue, after a signal. */
export type Restart = {
  readonly signal: NodeJS.Signals;
  /** From the signal to the end of the process. */
  readonly endMs: number;
  readonly readyMs: number;
  /** The slowest of the first new messages: from its connect, the first of them right after "ready", to its 250. */
  readonly acceptedMs: number;
  readonly queued: number;
  readonly rssBytes: number;
  readonly peakBytes: number;
};

export type Rest = {
  readonly rssBytes: number;
  /** Of the process's whole life. */
  readonly peakBytes: number;
  readonly journalBytes: number;
  readonly queued: number;
  readonly attempts: number;
  readonly cpuMsPerSecond: number;
};

export type Drain = {
  /** From when the site was up to the first message of the queue. */
  readonly firstMs: number;
  /** From its first message to its last. */
  readonly perSecond: number;
  readonly tenths: readonly Tenth[];
  readonly duplicates: number;
  /** New mail meanwhile: from its source to the site. */
  readonly freshP50Ms: number;
  readonly freshP99Ms: number;
  readonly peakBytes: number;
  readonly journalBytes: number;
};

export type Relayed = { readonly when: 'before' | 'after'; readonly bytes: number; readonly perSecond: number };

export type Outage = {
  readonly messages: number;
  /** Of a message. */
  readonly bytes: number;
  readonly retrySeconds: number;
  /** Resident, before anything was sent. */
  readonly idleBytes: number;
  readonly filling: { readonly perSecond: number; readonly tenths: readonly Tenth[] };
  readonly rest: Rest;
  readonly restarts: readonly Restart[];
  readonly drain: Drain;
  readonly relayed: readonly Relayed[];
};

const peakOf = ({ rest, restarts, drain }: Outage): number =>
  Math.max(rest.peakBytes, drain.peakBytes, ...restarts.map(({ peakBytes }) => peakBytes));

const ratioOf = (tenths: readonly Tenth[], figure: 'perSecond' | 'cpuMsPerMessage'): number =>
  (tenths.at(-1)?.[figure] ?? Number.NaN) / (tenths[0]?.[figure] ?? Number.NaN);

export function outageFaults(outage: Outage): string[] {
  const { messages, filling, rest, restarts } = outage;
  const faults: string[] = [];
  const ratio = ratioOf(filling.tenths, 'perSecond');
  if (messages >= RATE_MESSAGES_MIN && !(ratio >= LAST_TO_FIRST_MIN))
    faults.push(`the last tenth was accepted at ${digits(ratio)} of the rate of the first`);
  if (peakOf(outage) > RSS_BYTES_MAX) faults.push(`peak memory ${mib(peakOf(outage))}`);
  if (rest.queued < messages) faults.push(`the queue held ${rest.queued} of ${messages} messages`);
  if (rest.attempts > 0) faults.push(`${rest.attempts} attempts while the queue should rest`);
  for (const { signal, readyMs, queued } of restarts) {
    if (readyMs > READY_MS_MAX) faults.push(`ready only ${digits(readyMs / 1000)} s after ${signal}`);
    if (queued < messages) faults.push(`the queue held ${queued} of ${messages} messages after ${signal}`);
  }
  return faults;
}

export function outageHeadlines(outage: Outage): string[] {
  const { messages, bytes, filling, rest, restarts, drain, relayed, idleBytes } = outage;
  const each = (rssBytes: number): string => digits((rssBytes - idleBytes) / messages);
  const started = restarts.map(
    ({ signal, readyMs, acceptedMs }) =>
      `after ${signal} in ${digits(readyMs / 1000)} s, new messages' 250 in ${digits(acceptedMs)} ms at most`,
  );
  const against = [...new Set(relayed.map((one) => one.bytes))].map((size) => {
    const rates = relayed.filter((one) => one.bytes === size).map(({ perSecond }) => drain.perSecond / perSecond);
    const { least, most } = spreadOf(rates);
    return `${digits(least)}-${digits(most)} of relaying ${size} bytes${size === bytes ? '' : ' (relay-small)'}`;
  });
  return [
    `accepting: the last tenth at ${digits(ratioOf(filling.tenths, 'perSecond'))} of the rate of the first, ` +
      `${digits(ratioOf(filling.tenths, 'cpuMsPerMessage'))} of its CPU time per message`,
    `memory: ${mib(peakOf(outage))} at most; ${mib(rest.rssBytes)} at rest, ${each(rest.rssBytes)} bytes a message ` +
      `over the idle process; ${restarts.map(({ rssBytes }) => each(rssBytes)).join(' and ')} after a start`,
    `ready with the full queue: ${started.join('; ')}`,
    `site up: first delivery after ${digits(drain.firstMs / 1000)} s, then ${digits(drain.perSecond)} messages/s: ` +
      against.join(', '),
  ];
}

export function outageTables(outage: Outage): Table[] {
  const { filling, rest, restarts, drain, relayed, retrySeconds } = outage;
  const tenths = filling.tenths.map((tenth, i) => {
    const drained = drain.tenths[i];
    return [
      `${i + 1}`,
      digits(tenth.perSecond),
      digits(tenth.cpuMsPerMessage),
      mib(tenth.rssBytes),
      ...(drained === undefined
        ? ['-', '-', '-']
        : [digits(drained.perSecond), digits(drained.cpuMsPerMessage), mib(drained.rssBytes)]),
    ];
  });
  return [
    {
      title: `by tenths of ${digits(outage.messages)} messages, first retry after ${retrySeconds} s`,
      columns: ['', 'accepted/s', 'CPU ms/message', 'resident', 'drained/s', 'CPU ms/message', 'resident'],
      rows: tenths,
    },
    {
      title: 'the full queue',
      columns: ['', 'end, s', 'ready, s', 'queued', 'resident', 'peak', 'journal', 'CPU ms/s'],
      rows: [
        [
          'at rest',
          '-',
          '-',
          digits(rest.queued),
          mib(rest.rssBytes),
          mib(rest.peakBytes),
          mib(rest.journalBytes),
          digits(rest.cpuMsPerSecond),
        ],
        ...restarts.map(({ signal, endMs, readyMs, queued, rssBytes, peakBytes }) => [
          `after ${signal}`,
          digits(endMs / 1000),
          digits(readyMs / 1000),
          digits(queued),
          mib(rssBytes),
          mib(peakBytes),
          '-',
          '-',
        ]),
      ],
    },
    {
      title: 'the drain, and relaying beside it',
      columns: ['', 'messages/s', 'twice', 'new mail p50 ms', 'p99 ms', 'peak', 'journal after it'],
      rows: [
        [
          'drain',
          digits(drain.perSecond),
          `${drain.duplicates}`,
          digits(drain.freshP50Ms),
          digits(drain.freshP99Ms),
          mib(drain.peakBytes),
          mib(drain.journalBytes),
        ],
        ...relayed.map((one) => [`${one.bytes} bytes, ${one.when}`, digits(one.perSecond), '', '', '', '', '']),
      ],
    },
  ];
}
