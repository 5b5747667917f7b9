/**
 * Stand-ins for a milter, an HTTP hook and a clamd, in one process of their own: each answers at once, and checks every
 * message that it is shown against its stamp. As a forked child it takes the calls of `FiltersApi` (child.ts).
 */
import type { AddressInfo } from 'node:net';
import { Arrivals, type RunCounts } from './arrivals.ts';
import { CHILD_FLAG, serve } from './child.ts';
import { ContentReader } from './content_reader.ts';
import { type Reading, SERVERS } from './filter_protocols.ts';
import { nowUs } from './stamp.ts';

export type FilterType = keyof typeof SERVERS;
export const FILTER_TYPES = Object.keys(SERVERS) as FilterType[];

export type FiltersApi = {
  /** The port of each, on loopback. */
  readonly listen: (nothing: undefined) => Promise<Readonly<Record<FilterType, number>>>;
  /** What each has seen of a run of the source. */
  readonly counts: (run: number) => Readonly<Record<FilterType, RunCounts>>;
};

const seen = Object.fromEntries(FILTER_TYPES.map((type) => [type, new Arrivals()])) as Record<FilterType, Arrivals>;

function reading(type: FilterType): Reading {
  const reader = new ContentReader(false);
  return {
    bytes: (chunk) => reader.bdat(chunk, 0, chunk.length),
    end: () => seen[type].accepted(reader.finish(), 1, nowUs()),
  };
}

async function listen(): Promise<Record<FilterType, number>> {
  const ports = {} as Record<FilterType, number>;
  for (const type of FILTER_TYPES) {
    const server = SERVERS[type](() => reading(type));
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, resolve));
    ports[type] = (server.address() as AddressInfo).port;
  }
  return ports;
}

const counts = (run: number): Record<FilterType, RunCounts> =>
  Object.fromEntries(FILTER_TYPES.map((type) => [type, seen[type].counts(run)])) as Record<FilterType, RunCounts>;

if (import.meta.main && process.argv[2] === CHILD_FLAG) serve<FiltersApi>({ listen, counts });
