/** Ten thousand connections that say EHLO and then nothing. */
import { type Bench, delivery, faultsOf, type Outcome, pause, type Scenario } from '../bench.ts';
import { Child } from '../load/child.ts';
import type { IdleApi } from '../load/idle.ts';
import { rssBytes } from '../measure/processes.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, mib } from '../report.ts';

const CONNECTIONS = 10_000;
const QUICK_CONNECTIONS = 500;
const PER_CONNECTION_BYTES_MAX = 20_000;
const NEW_MESSAGE_MS_MAX = 1_000;
/** Time for buffers of the opening to be given back. */
const SETTLE_MS = 3_000;

export const idle10k: Scenario = {
  name: 'idle-10k',
  question:
    'what does a connection cost that does nothing, and is there still room for work beside ten thousand of them?',
  load: `${CONNECTIONS} connections, greeted and idle; then single messages on new connections`,
  bound:
    'memory: a socket and its session, here and in the kernel. Above 20 KB each in the process, or a second ' +
    "for a new message's 250, something is held that should not be",
  checks: 'all connections are still open at the end and answer NOOP; the new messages arrive as sent',
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const connections = bench.settings.quick ? QUICK_CONNECTIONS : CONNECTIONS;
  const sink = bench.sink();
  const source = bench.source();
  const holder = bench.started(new Child<IdleApi>('idle.ts'));
  const { port: sinkPort } = await sink.call('listen', {});
  const environment = { CONNECTIONS_MAX: `${connections + 100}` };
  const postern = await relayTo(bench, 'postern', sinkPort, { environment });
  const { host, port } = postern.outside;
  const warm = { port, connections: 50, messages: 2_000, messagesPerConnection: 50, pipelining: true };
  await source.call('run', warm);
  await pause(SETTLE_MS);

  const before = rssBytes(postern.pid);
  const startMs = performance.now();
  const opened = await holder.call('hold', { host, port, connections });
  const openSeconds = (performance.now() - startMs) / 1000;
  await pause(SETTLE_MS);
  const after = rssBytes(postern.pid);
  const report = await source.call('run', { port, connections: 1, messages: 20, messagesPerConnection: 1 });
  const failures = faultsOf('new messages', report, await delivery(source, sink, report));
  const answered = await holder.call('probe', undefined);

  const perConnection = (after - before) / connections;
  const worstMs = report.phases.message.maxUs / 1000;
  if (opened.open !== connections) failures.push(`${opened.open} of ${connections} opened: ${opened.firstReason}`);
  if (answered !== connections) failures.push(`${answered} of ${connections} answered NOOP at the end`);
  if (perConnection > PER_CONNECTION_BYTES_MAX) failures.push(`${digits(perConnection)} bytes per connection`);
  if (worstMs > NEW_MESSAGE_MS_MAX) failures.push(`${digits(worstMs)} ms until a new message's 250`);
  return {
    headlines: [
      `${digits(perConnection / 1000)} KB per idle connection; a new message's 250 after ${digits(worstMs)} ms at most`,
    ],
    tables: [
      {
        title: `${connections} connections, opened in ${digits(openSeconds)} s`,
        columns: ['', 'resident'],
        rows: [
          ['before', mib(before)],
          ['after', mib(after)],
        ],
      },
    ],
    failures,
    figures: { connections, openSeconds, before, after, perConnection, newMessage: report.phases.message },
  };
}
