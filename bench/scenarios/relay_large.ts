/** A hundred sessions, each with one large message, all at once: as fast as without a relay, and in how much memory? */
import type { Bench, Chart, Outcome, Ratio, Scenario, Spread } from '../bench.ts';
import { carried, type Ends } from '../measure/carried.ts';
import { forgetPeak, peakRssBytes } from '../measure/processes.ts';
import { warmSeconds, warmUp } from '../measure/warm.ts';
import { relayTo } from '../peers/relay_to.ts';
import { digits, mib, spreadOf, spreadText } from '../report.ts';

const SESSIONS = 100;
const QUICK_SESSIONS = 5;
const SIZES = [10_000_000, 50_000_000] as const;
const [SMALLER, LARGER] = SIZES;
/** Short enough for several of each session while it warms up. */
const WARM_BYTES = 1_000_000;
const PEAK_BYTES_MAX = 500_000_000;
const MEGA = 1_000_000;

export const relayLarge: Scenario = {
  name: 'relay-large',
  question: 'how fast is large mail relayed, and does memory stay small when a hundred sessions stream 50 MB each?',
  load:
    `${SESSIONS} sessions at once, one message of ${SMALLER / MEGA} MB each, or of ${LARGER / MEGA} MB, to the sink ` +
    `itself and through a Postern of its own; in turn, after some seconds of ${WARM_BYTES / MEGA} MB each`,
  bound:
    'CPU, and the disk: each byte is scanned, written, read back and sent, where the direct run only sends it. It ' +
    `would surprise: less than half of the direct ceiling by bytes; a peak above ${PEAK_BYTES_MAX / MEGA} MB, or ` +
    'one that grows with the size of a message, which would mean that something is buffered whole',
  checks:
    'every message that was answered 250 is at the sink, its CRC-32 as sent; peak memory of the relay below ' +
    `${PEAK_BYTES_MAX / MEGA} MB`,
  run,
};

type Figures = {
  readonly round: number;
  readonly bytes: number;
  readonly directPerSecond: number;
  /** Of content, as it came out at the other end. */
  readonly bytesPerSecond: number;
  readonly cpuMsPerMegabyte: number;
  readonly peakBytes: number;
  readonly duplicates: number;
};

async function run(bench: Bench): Promise<Outcome> {
  const sessions = bench.settings.quick ? QUICK_SESSIONS : SESSIONS;
  const ends: Ends = { sink: bench.sink(), source: bench.source() };
  const { port: sinkPort } = await ends.sink.call('listen', {});
  const figures: Figures[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= bench.settings.rounds; round++) {
    for (const bytes of SIZES) {
      const { faults, ...one } = await measure(bench, ends, sinkPort, sessions, bytes);
      const rates = `${digits(one.bytesPerSecond / MEGA)} MB/s, direct ${digits(one.directPerSecond / MEGA)}`;
      bench.say(`  round ${round}, ${bytes / MEGA} MB: ${rates}; ${mib(one.peakBytes)} at most`);
      figures.push({ round, ...one });
      failures.push(...faults);
    }
  }
  const peak = Math.max(...figures.map(({ peakBytes }) => peakBytes));
  if (peak > PEAK_BYTES_MAX) failures.push(`peak memory ${mib(peak)}`);
  return {
    headlines: [
      ...ratiosOf(figures).map((ratio) => `${ratio.name}: ${spreadText(ratio)}`),
      `${mib(peak)} peak memory for ${sessions} messages of ${LARGER / MEGA} MB at once`,
    ],
    ratios: ratiosOf(figures),
    charts: [
      chart(figures, 'MB/s', (one) => one.bytesPerSecond / MEGA),
      chart(figures, 'peak, MB', (one) => one.peakBytes / MEGA),
    ],
    tables: [tableOf(figures, sessions)],
    failures,
    figures,
  };
}

type Measured = Omit<Figures, 'round'> & { readonly faults: readonly string[] };

/** A Postern for each: memory that a heap once had is not given back, and would be found by the next. */
async function measure(bench: Bench, ends: Ends, sinkPort: number, sessions: number, bytes: number): Promise<Measured> {
  const name = `${bytes / MEGA} MB`;
  const postern = await relayTo(bench, `postern-${bytes / MEGA}`, sinkPort);
  const { pid, outside } = postern;
  const common = { connections: sessions, messagesPerConnection: 1, pipelining: true, silenceSecondsMax: 600 };
  const load = { ...common, messages: sessions, bytes };
  // As in a first round: it is a process that has just been started.
  const warm = (port: number) =>
    warmUp(name, ends, { ...common, port, bytes: WARM_BYTES }, warmSeconds(bench.settings, 1));
  const cold = [...(await warm(sinkPort)), ...(await warm(outside.port))];
  const direct = await carried(`${name}, direct`, ends, 0, { ...load, port: sinkPort });
  forgetPeak(pid);
  const relayed = await carried(name, ends, pid, { ...load, port: outside.port });
  const peakBytes = peakRssBytes(pid);
  await postern.stop();
  return {
    bytes,
    directPerSecond: direct.bytesPerSecond,
    bytesPerSecond: relayed.bytesPerSecond,
    cpuMsPerMegabyte: relayed.cpuMsPerMessage / (bytes / MEGA),
    peakBytes,
    duplicates: relayed.duplicates,
    faults: [...cold, ...direct.faults, ...relayed.faults],
  };
}

type Figure = (one: Figures) => number;

const of = (all: readonly Figures[], bytes: number, figure: Figure): Spread =>
  spreadOf(all.filter((one) => one.bytes === bytes).map(figure));

export function ratiosOf(all: readonly Figures[]): Ratio[] {
  const peaks = (bytes: number): number[] => all.filter((one) => one.bytes === bytes).map((one) => one.peakBytes);
  const smaller = peaks(SMALLER);
  return [
    ...SIZES.map((bytes): Ratio => {
      const share = of(all, bytes, (one) => one.bytesPerSecond / one.directPerSecond);
      return { name: `${bytes / MEGA} MB: bytes a second / direct`, better: 'more', ...share };
    }),
    {
      name: `peak memory with ${LARGER / MEGA} MB / with ${SMALLER / MEGA} MB`,
      better: 'less',
      ...spreadOf(peaks(LARGER).map((peak, round) => peak / (smaller[round] ?? Number.NaN))),
    },
  ];
}

const chart = (all: readonly Figures[], unit: string, figure: Figure): Chart => ({
  title: 'large messages',
  unit,
  bars: SIZES.map((bytes) => ({ name: `${bytes / MEGA} MB`, ...of(all, bytes, figure) })),
});

function tableOf(all: readonly Figures[], sessions: number): Outcome['tables'][number] {
  return {
    title: `${sessions} sessions at once, median (least-most)`,
    columns: ['', 'MB/s', 'direct MB/s', 'CPU ms/MB', 'peak MiB', 'twice'],
    rows: SIZES.map((bytes) => {
      const text = (figure: Figure): string => spreadText(of(all, bytes, figure));
      return [
        `${bytes / MEGA} MB`,
        text((one) => one.bytesPerSecond / MEGA),
        text((one) => one.directPerSecond / MEGA),
        text((one) => one.cpuMsPerMegabyte),
        text((one) => one.peakBytes / 1_048_576),
        digits(of(all, bytes, (one) => one.duplicates).most),
      ];
    }),
  };
}
