/**
 * Stand-ins for a milter, an HTTP hook and a clamd, in one process of their own: each answers at once, and checks every
 * message that it is shown against its stamp. As a forked child it takes the calls of `FiltersApi` (child.ts).
 */
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Arrivals, type RunCounts } from './arrivals.ts';
import { CHILD_FLAG, serve } from './child.ts';
import { ContentReader } from './content_reader.ts';
import { type Reading, SERVERS } from './filter_protocols.ts';
import { nowUs } from './stamp.ts';

export type FilterType = keyof typeof SERVERS;
export const FILTER_TYPES = Object.keys(SERVERS) as FilterType[];

export type FiltersApi = {
  /** Where each is, as `at` of a filter has it: in a folder, a Unix socket; else a port of loopback. */
  readonly listen: (folder: string | null) => Promise<Readonly<Record<FilterType, string>>>;
  /** What each has seen of a run of the source. */
  readonly counts: (run: number) => Readonly<Record<FilterType, RunCounts>>;
};

const seen = Object.fromEntries(FILTER_TYPES.map((type) => [type, new Arrivals()])) as Record<FilterType, Arrivals>;

function reading(type: FilterType): Reading {
  const reader = new ContentReader(0);
  return {
    bytes: (chunk) => reader.bdat(chunk, 0, chunk.length),
    end: () => seen[type].accepted(reader.finish(), 1, nowUs()),
  };
}

async function listen(folder: string | null): Promise<Record<FilterType, string>> {
  const places = {} as Record<FilterType, string>;
  for (const type of FILTER_TYPES) {
    const server = SERVERS[type](() => reading(type));
    const where = folder === null ? { host: '127.0.0.1', port: 0 } : { path: join(folder, type) };
    await new Promise<void>((resolve) => server.listen({ ...where, backlog: 4096 }, resolve));
    const address = server.address() as AddressInfo | string;
    if (typeof address === 'string') places[type] = `unix:${address}`;
    else places[type] = `${type === 'http' ? 'http' : 'tcp'}://127.0.0.1:${address.port}`;
  }
  return places;
}

const counts = (run: number): Record<FilterType, RunCounts> =>
  Object.fromEntries(FILTER_TYPES.map((type) => [type, seen[type].counts(run)])) as Record<FilterType, RunCounts>;

if (import.meta.main && process.argv[2] === CHILD_FLAG) serve<FiltersApi>({ listen, counts });
