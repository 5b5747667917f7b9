/** Requests over HTTP, by autocannon: as a forked child it takes the calls of `HttpLoadApi` (child.ts). */
import { createRequire } from 'node:module';
import { CHILD_FLAG, serve } from './child.ts';

export type HttpLoadOptions = {
  readonly url: string;
  /** Asked for in turn on each connection. */
  readonly paths: readonly string[];
  readonly connections: number;
  /** Requests a second over all connections; without it each asks as soon as it is answered. */
  readonly perSecond?: number;
};
export type HttpCounts = {
  readonly requests: number;
  readonly perSecond: number;
  /** Answers of another class than 2, and connections that broke or were silent. */
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};
export type HttpLoadApi = {
  /** Until `stop`. */
  readonly start: (options: HttpLoadOptions) => void;
  readonly stop: (nothing: undefined) => Promise<HttpCounts>;
};

/** What is used of autocannon, which has no types of its own. */
type Result = {
  readonly '2xx': number;
  readonly non2xx: number;
  readonly errors: number;
  readonly duration: number;
  readonly latency: { readonly p50: number; readonly p99: number };
};
type Running = PromiseLike<Result> & { stop(): void };
type Autocannon = (options: Record<string, unknown>) => Running;

const SECONDS_MAX = 600;
const autocannon = createRequire(import.meta.url)('autocannon') as Autocannon;
let running: Running | undefined;

function start({ url, paths, connections, perSecond }: HttpLoadOptions): void {
  running = autocannon({
    url,
    connections,
    duration: SECONDS_MAX,
    requests: paths.map((path) => ({ method: 'GET', path })),
    ...(perSecond !== undefined && { overallRate: perSecond }),
  });
}

async function stop(): Promise<HttpCounts> {
  if (running === undefined) throw new Error('nothing has been started');
  running.stop();
  const { '2xx': requests, non2xx, errors, duration, latency } = await running;
  running = undefined;
  return {
    requests,
    perSecond: requests / duration,
    failed: non2xx + errors,
    p50Ms: latency.p50,
    p99Ms: latency.p99,
  };
}

if (import.meta.main && process.argv[2] === CHILD_FLAG) serve<HttpLoadApi>({ start, stop });
