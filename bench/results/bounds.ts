/**
 * What `npm run bench -- --check` holds a hot path to. Ratios only: an absolute time is the machine's as much as ours.
 *
 *   limit   the ratio may not be worse than this anywhere: well below what a quiet machine of two cores shows, so that
 *           it holds on larger ones, and so that a slow decline, each step within `worse`, has an end
 *   target  what Postern is meant to come to where nothing else runs; said beside the figure, held by nobody
 *   worse   how many times worse than in the latest result kept of the same machine: medians over the rounds, of which
 *           a busy machine moves those of rates by a fifth and those of CPU time by a tenth
 *
 * A ratio to another relay is held where that was measured (--vs). The kept results lie beside this file;
 * `npm run bench -- --save` adds one.
 */
export type Bound = {
  readonly scenario: string;
  /** As the scenario calls it. */
  readonly ratio: string;
  readonly limit: number;
  readonly target?: number;
  readonly worse: number;
  /** It is measured with this peer only. */
  readonly peer?: string;
  /** The code that is slower if this fails. */
  readonly path: string;
};

export const BOUNDS: readonly Bound[] = [
  {
    scenario: 'relay-small',
    ratio: 'a connection per message: rate / direct',
    limit: 0.15,
    target: 0.6,
    worse: 1.25,
    path: 'accept, transfer to a shard, greeting, one transaction, delivery, close',
  },
  {
    scenario: 'relay-small',
    ratio: 'a connection per message: CPU a message / the source',
    limit: 10,
    worse: 1.2,
    path: 'the same, in CPU time',
  },
  {
    scenario: 'relay-small',
    ratio: 'connections reused: rate / direct',
    limit: 0.1,
    target: 0.6,
    worse: 1.25,
    path: 'command, content, journal, delivery',
  },
  {
    scenario: 'relay-small',
    ratio: 'connections reused: CPU a message / the source',
    limit: 15,
    worse: 1.2,
    path: 'the same, in CPU time',
  },
  ...(
    [
      ['a connection per message', 'postfix', 3, 7],
      ['a connection per message', 'haraka', 2, 5],
      ['connections reused', 'postfix', 5, 15],
      ['connections reused', 'haraka', 3, 9],
    ] as const
  ).map(([way, peer, limit, target]) => ({
    scenario: 'relay-small',
    ratio: `${way}: rate / ${peer}`,
    limit,
    target,
    // Both have their noise.
    worse: 1.5,
    peer,
    path: 'as to the direct ceiling',
  })),
  {
    scenario: 'relay-tls',
    ratio: 'a connection per message: CPU a message, STARTTLS, resumed / plain',
    limit: 5,
    worse: 1.3,
    path: 'the handshake, or what becomes of tickets',
  },
  {
    scenario: 'relay-tls',
    ratio: 'a connection per message, STARTTLS, resumed: rate / postfix',
    limit: 1.5,
    target: 4,
    worse: 1.5,
    peer: 'postfix',
    path: 'the same',
  },
  {
    scenario: 'relay-large',
    ratio: '50 MB: bytes a second / direct',
    limit: 0.06,
    target: 0.5,
    worse: 1.25,
    path: 'content: scanner, writer, reader, back-pressure',
  },
  {
    scenario: 'relay-large',
    ratio: 'peak memory with 50 MB / with 10 MB',
    limit: 1.5,
    target: 1,
    worse: 1.3,
    path: 'not speed but memory: content is held whole somewhere',
  },
  {
    scenario: 'connect-flood',
    ratio: 'rate of others / no flood',
    limit: 0.8,
    worse: 1.25,
    path: 'a refusal at the gate',
  },
  {
    scenario: 'commit',
    ratio: '1 session: commit to a bare sync',
    limit: 4,
    worse: 1.5,
    path: 'the journal with nobody else waiting',
  },
  {
    scenario: 'commit',
    ratio: '1000 sessions: messages a sync',
    limit: 15,
    worse: 1.5,
    path: 'the journal with everybody waiting: are commits still grouped?',
  },
];
