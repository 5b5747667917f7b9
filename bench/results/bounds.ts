/**
 * What `npm run bench -- --check` holds a hot path to. Ratios only: an absolute time is the machine's as much as ours.
 *
 *   limit   the ratio may not be worse than this anywhere: well below what a quiet machine of two cores shows, so that
 *           it holds on larger ones, and so that a slow decline, each step within `worse`, has an end
 *   worse   how many times worse than in the latest result kept of the same machine: medians over the rounds, of which
 *           a busy machine moves those of rates by a fifth and those of CPU time by a tenth
 *
 * The kept results lie beside this file; `npm run bench -- --save` adds one.
 */
export type Bound = {
  readonly scenario: string;
  /** As the scenario calls it. */
  readonly ratio: string;
  readonly limit: number;
  readonly worse: number;
  /** The code that is slower if this fails. */
  readonly path: string;
};

export const BOUNDS: readonly Bound[] = [
  {
    scenario: 'relay-small',
    ratio: 'a connection per message: rate / direct',
    limit: 0.2,
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
    limit: 0.12,
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
