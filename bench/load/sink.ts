/**
 * The SMTP (or LMTP) sink: a program, `npm run bench:sink -- --help`, and as a forked child what takes the calls of
 * `SinkApi` (child.ts). The work is done in load_sink.ts.
 */

import { parseOrExit } from '../arguments.ts';
import type { RunCounts, SinkStats } from './arrivals.ts';
import { CHILD_FLAG, serve } from './child.ts';
import type { Latency } from './latency.ts';
import { Sink, type SinkOptions } from './load_sink.ts';
import { SINK_PROGRAM, sinkOptionsOf } from './sink_table.ts';

export type { RunCounts, SinkStats } from './arrivals.ts';
export { Sink, type SinkOptions } from './load_sink.ts';
export type { Delivered, Extension, Refusal } from './sink_behaviour.ts';

function summaryOf(stats: SinkStats): string {
  const lines = [
    `${stats.messages} messages, ${stats.recipients} recipients, ${stats.bytes} bytes, ` +
      `${stats.connections} connections, ${stats.unstamped} without a stamp`,
  ];
  const refusals = Object.entries(stats.refusals).map(([code, count]) => `${code} × ${count}`);
  if (refusals.length > 0) lines.push(`refused: ${refusals.join(', ')}`);
  const { handshakes, resumed } = stats.tls;
  if (handshakes > 0) lines.push(`TLS: ${handshakes} handshakes, ${resumed} resumed`);
  if (stats.chunks > 0) lines.push(`${stats.chunks} chunks by BDAT`);
  if (stats.logins > 0) lines.push(`${stats.logins} logins`);
  for (const run of stats.runs) {
    const id = run.run.toString(16).padStart(8, '0');
    lines.push(`run ${id}: ${run.distinct} distinct, ${run.duplicates} twice, ${run.altered} altered`);
    lines.push(`  from the source to here, ms: ${percentilesOf(run.endToEnd)}`);
  }
  return `${lines.join('\n')}\n`;
}

function percentilesOf({ p50Us, p90Us, p99Us, p999Us, p9999Us, maxUs }: Latency): string {
  const named = { p50: p50Us, p90: p90Us, p99: p99Us, 'p99.9': p999Us, 'p99.99': p9999Us, max: maxUs };
  return Object.entries(named)
    .map(([name, us]) => `${name} ${(us / 1000).toFixed(1)}`)
    .join('  ');
}

function fail(error: unknown): never {
  process.stderr.write(`${SINK_PROGRAM.name}: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(2);
}

async function program(): Promise<void> {
  const { values } = parseOrExit(SINK_PROGRAM, process.argv.slice(2));
  const sink = await startOf(() => Sink.listen(sinkOptionsOf(values)));
  const { json, seconds } = values;
  const print = (): void => {
    process.stdout.write(json ? `${JSON.stringify(sink.stats())}\n` : summaryOf(sink.stats()));
  };
  process.on('SIGUSR2', print);
  const end = (): void => {
    print();
    process.exit(0);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  setTimeout(end, seconds * 1000);
  process.stdout.write(json ? `${JSON.stringify({ port: sink.port })}\n` : `listening on ${sink.host}:${sink.port}\n`);
}

/** What cannot be had (an address that is taken, a file) is told as a wrong option is. */
async function startOf(start: () => Promise<Sink>): Promise<Sink> {
  try {
    return await start();
  } catch (error) {
    return fail(error);
  }
}

/** What the program answers as a forked child. */
export type SinkApi = {
  readonly listen: (options: SinkOptions) => Promise<{ readonly host: string; readonly port: number }>;
  readonly stats: (nothing: undefined) => SinkStats;
  readonly counts: (run: number) => RunCounts;
  /** The bits of a run's numbers that came intact: `new Bitmap(bytes)`. */
  readonly seen: (run: number) => Uint8Array;
};

function childApi(): SinkApi {
  let sink: Sink | undefined;
  const listening = (): Sink => {
    if (sink === undefined) throw new Error('the sink does not listen yet');
    return sink;
  };
  return {
    listen: async (options) => {
      sink = await Sink.listen(options);
      return { host: sink.host, port: sink.port };
    },
    stats: () => listening().stats(),
    counts: (run) => listening().counts(run),
    seen: (run) => listening().seen(run).bytes(),
  };
}

if (import.meta.main) {
  if (process.argv[2] === CHILD_FLAG) serve(childApi());
  else await program();
}
