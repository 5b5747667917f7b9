/** One load through one relay: how fast it came out at the other end, whole, and what the relay spent on it. */
import { delivery, faultsOf, pause } from '../bench.ts';
import type { Child } from '../load/child.ts';
import type { SinkApi } from '../load/sink.ts';
import type { SourceApi, SourceOptions, SourceReport } from '../load/source.ts';
import { treeCpuMs } from './processes.ts';

/** After the last delivery, what a relay still does for its messages (marks, removals) belongs to their CPU time. */
const SETTLE_MS = 300;

export type Ends = { readonly source: Child<SourceApi>; readonly sink: Child<SinkApi> };

export type Carried = {
  /** The stamp's run id. */
  readonly run: number;
  readonly messages: number;
  /** Of distinct messages at the sink, from the first connect until the last has come. */
  readonly perSecond: number;
  readonly cpuMsPerMessage: number;
  readonly sourceCpuMsPerMessage: number;
  readonly endToEndP99Ms: number;
  readonly duplicates: number;
  /** Of Authentication-Results at the sink: how many messages had `dkim=pass`, and so on. */
  readonly results: Readonly<Record<string, number>>;
  readonly phases: SourceReport['phases'];
  readonly tls: SourceReport['tls'];
  /** Content at the sink, bytes a second. */
  readonly bytesPerSecond: number;
  /** What was not done as promised, in words. */
  readonly faults: readonly string[];
};

/** `pid`: root of the relay's processes; 0 where there is none. */
export async function carried(
  name: string,
  { source, sink }: Ends,
  pid: number,
  load: SourceOptions,
): Promise<Carried> {
  const cpuMs = (): number => (pid === 0 ? 0 : treeCpuMs(pid));
  const before = cpuMs();
  const bytesBefore = (await sink.call('stats', undefined)).bytes;
  const report = await source.call('run', load);
  const delivered = await delivery(source, sink, report);
  await pause(SETTLE_MS);
  const spentMs = cpuMs() - before;
  const { runs, bytes } = await sink.call('stats', undefined);
  const arrived = runs.find(({ run }) => run === report.run);
  const { distinct, lastUs, duplicates } = delivered.counts;
  const seconds = (lastUs - report.firstConnectUs) / 1e6;
  return {
    run: report.run,
    messages: report.attempted,
    perSecond: distinct / seconds,
    bytesPerSecond: (bytes - bytesBefore) / seconds,
    tls: report.tls,
    cpuMsPerMessage: spentMs / report.attempted,
    sourceCpuMsPerMessage: report.cpuMs / report.attempted,
    endToEndP99Ms: (arrived?.endToEnd.p99Us ?? 0) / 1000,
    duplicates,
    results: arrived?.results ?? {},
    phases: report.phases,
    faults: faultsOf(name, report, delivered, load.seconds === undefined ? load.messages : undefined),
  };
}
