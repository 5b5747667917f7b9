/** A hundred sessions, each with one message of 50 MB, all at once. */
import { type Bench, delivery, faultsOf, type Outcome, type Scenario } from '../bench.ts';
import { peakRssBytes, treeCpuMs } from '../measure/processes.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, mib } from '../report.ts';

const SESSIONS = 100;
const QUICK_SESSIONS = 5;
const BYTES = 50_000_000;
const PEAK_BYTES_MAX = 500_000_000;

export const relayLarge: Scenario = {
  name: 'relay-large',
  question: 'does memory stay small when a hundred sessions stream 50 MB each at once?',
  load: `${SESSIONS} sessions at once, one message of ${BYTES} bytes each`,
  bound:
    'the disk, then CPU: each byte is scanned, written, read back and sent. Peak memory above 500 MB would mean that ' +
    'something is buffered whole',
  checks:
    'every message that was answered 250 is at the sink, its CRC-32 as sent; peak memory of the relay below 500 MB',
  run,
};

async function run(bench: Bench): Promise<Outcome> {
  const sessions = bench.settings.quick ? QUICK_SESSIONS : SESSIONS;
  const sink = bench.sink();
  const source = bench.source();
  const { port: sinkPort } = await sink.call('listen', {});
  const postern = await relayTo(bench, 'postern', sinkPort);
  const { port } = postern.outside;

  const cpuBefore = treeCpuMs(postern.pid);
  const load = { port, connections: sessions, messages: sessions, messagesPerConnection: 1, silenceSecondsMax: 600 };
  const report = await source.call('run', { ...load, bytes: BYTES, pipelining: true });
  const delivered = await delivery(source, sink, report);
  const { counts } = delivered;
  const cpuMs = treeCpuMs(postern.pid) - cpuBefore;
  const failures = faultsOf('large messages', report, delivered);
  const peak = peakRssBytes(postern.pid);
  if (peak > PEAK_BYTES_MAX) failures.push(`peak memory ${mib(peak)}`);

  const megabytes = (sessions * BYTES) / 1e6;
  const acceptedPerSecond = megabytes / ((report.lastAcknowledgedUs - report.firstConnectUs) / 1e6);
  const deliveredPerSecond = megabytes / ((counts.lastUs - report.firstConnectUs) / 1e6);
  return {
    headlines: [`${mib(peak)} peak memory for ${sessions} messages of ${BYTES / 1e6} MB at once`],
    tables: [
      {
        title: `${sessions} sessions`,
        columns: ['', 'MB/s', 'CPU ms/MB'],
        rows: [
          ['accepted', digits(acceptedPerSecond), ''],
          ['delivered', digits(deliveredPerSecond), digits(cpuMs / megabytes)],
        ],
      },
    ],
    failures,
    figures: {
      sessions,
      bytes: BYTES,
      peak,
      acceptedPerSecond,
      deliveredPerSecond,
      cpuMs,
      duplicates: counts.duplicates,
    },
  };
}
