/** Whoever watches Postern while it relays: status, metrics and health, now and then, and without a pause. */
import type { Bench, Outcome, Scenario } from '../bench.ts';
import { Child } from '../load/child.ts';
import type { HttpCounts, HttpLoadApi, HttpLoadOptions } from '../load/http_load.ts';
import type { Ends } from '../measure/carried.ts';
import { perSecond, type Target, takeTurns, type Way } from '../measure/turns.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, spreadOf, spreadText } from '../report.ts';

const PATHS = ['/metrics', '/api/status', '/healthz'] as const;
const HTTP_CONNECTIONS = 6;
const POLLED_PER_SECOND = 20;
const CONNECTIONS = 50;
const BYTES = 4096;
const POLLED_SHARE_MIN = 0.9;

const ALONE = 'alone';
const POLLED = 'polled';
const ENDLESS = 'without a pause';
const WATCHED: Readonly<Record<string, Partial<HttpLoadOptions>>> = {
  [POLLED]: { perSecond: POLLED_PER_SECOND },
  [ENDLESS]: {},
};

const WAY: Way = {
  name: 'the mail',
  load: { connections: CONNECTIONS, messagesPerConnection: 1, bytes: BYTES, pipelining: true },
  phase: 'message',
  messages: 12_000,
};

export const adminHttp: Scenario = {
  name: 'admin-http',
  question: 'does it disturb the mail to be watched, and are those who watch answered while mail flows?',
  load:
    `${CONNECTIONS} connections at once, one ${BYTES}-byte message each, in a closed loop; beside it nobody, ` +
    `${POLLED_PER_SECOND} requests a second for ${PATHS.join(', ')} in turn, or ${HTTP_CONNECTIONS} connections of ` +
    'autocannon that ask as soon as they are answered',
  bound:
    "the gate's thread, which answers them, accepts the mail's connections, too; and the CPU of autocannon. " +
    `Less than ${POLLED_SHARE_MIN * 100} % of the rate where it is polled would mean that an answer costs too much`,
  checks:
    'every message that was answered 250 is at the sink, its CRC-32 as sent; every request was answered with ' +
    'a status of 200',
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const ends: Ends = { sink: bench.sink(), source: bench.source() };
  const watcher = bench.started(new Child<HttpLoadApi>('http_load.ts'));
  const { port: sinkPort } = await ends.sink.call('listen', {});
  const { pid, outside, admin } = await relayTo(bench, 'postern', sinkPort);
  if (admin === undefined) throw new Error('this Postern has no admin address');
  const asked = { url: `http://${admin.host}:${admin.port}`, paths: PATHS, connections: HTTP_CONNECTIONS };
  const requests: (HttpCounts & { readonly target: string })[] = [];
  const watched = Object.entries(WATCHED).map(
    ([name, how]): Target => ({
      name,
      port: outside.port,
      pid,
      beside: async () => {
        await watcher.call('start', { ...asked, ...how });
        return async () => {
          const counts = await watcher.call('stop', undefined);
          requests.push({ target: name, ...counts });
          return httpFaults(name, counts);
        };
      },
    }),
  );
  const targets: Target[] = [{ name: ALONE, port: outside.port, pid }, ...watched];
  const { turns, failures } = await takeTurns(bench, ends, [WAY], targets);
  const polled = turns.ratio(WAY.name, POLLED, ALONE, perSecond);
  const endless = turns.ratio(WAY.name, ENDLESS, ALONE, perSecond);
  if (!bench.settings.quick && polled.median < POLLED_SHARE_MIN)
    failures.push(`${digits(polled.median)} of the rate where it is polled; ${POLLED_SHARE_MIN} is wanted`);
  return {
    headlines: [
      `the mail keeps ${spreadText(polled)} of its rate with ${POLLED_PER_SECOND} requests a second, ` +
        `${spreadText(endless)} with as many as are answered`,
    ],
    ratios: [{ name: 'polled: rate / alone', better: 'more', ...polled }],
    tables: [turns.table(WAY, targets), requestTable(requests)],
    failures,
    figures: { turns: turns.all, requests },
  };
}

const httpFaults = (name: string, { requests, failed }: HttpCounts): string[] =>
  failed === 0 && requests > 0 ? [] : [`${name}: ${requests} requests answered, ${failed} failed`];

const requestTable = (all: readonly (HttpCounts & { readonly target: string })[]): Outcome['tables'][number] => ({
  title: 'the requests, median (least-most)',
  columns: ['', 'requests/s', 'p50 ms', 'p99 ms'],
  rows: Object.keys(WATCHED).map((name) => {
    const own = all.filter(({ target }) => target === name);
    const text = (figure: (one: HttpCounts) => number): string => spreadText(spreadOf(own.map(figure)));
    return [name, text((one) => one.perSecond), text(({ p50Ms }) => p50Ms), text(({ p99Ms }) => p99Ms)];
  }),
});
