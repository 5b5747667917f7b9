/**
 * The shape of a micro-benchmark: a question, and tasks that are timed in turn, each in calls of many so that no sample
 * is too short for the clock. One process for each file of bench/micro: what one has taught the compiler, another does
 * not know.
 */
import { Bench } from 'tinybench';

export type Task = {
  /** Once; its result is kept, so that the compiler cannot leave it out. A promise is awaited before the next call. */
  readonly run: () => unknown;
  /** It does its work so many times; 1 unless it is said. */
  readonly times?: number;
  /** What it reads or writes, where its speed in GB/s says more. */
  readonly bytes?: number;
};

const SAMPLE_US_MIN = 50;
const TRIAL_MS = 20;
/** Of each task. BENCH_QUICK=1 shows that it works, not how fast. */
export const [TIME_MS, WARM_MS] = process.env.BENCH_QUICK === '1' ? [20, 10] : [500, 150];

let kept: unknown;

/** Prints a row for each: time of one call (median), how far its samples are from each other, and speed. */
export async function measure(question: string, tasks: Readonly<Record<string, Task>>): Promise<void> {
  const bench = new Bench({ time: TIME_MS, warmupTime: WARM_MS });
  const calls = new Map<string, number>();
  for (const [name, { run }] of Object.entries(tasks)) {
    const waits = run() instanceof Promise;
    const count = await callsOf(run, waits);
    calls.set(name, count);
    const many = (): void => {
      for (let call = 0; call < count; call++) kept = run();
    };
    const inTurn = async (): Promise<void> => {
      for (let call = 0; call < count; call++) kept = await run();
    };
    bench.add(name, waits ? inTurn : many);
  }
  await bench.run();
  const rows = bench.tasks.map(({ name, result }) => {
    if (!('latency' in result)) throw new Error(`${name} did not finish`);
    const { p50, p75 } = result.latency;
    const { bytes, times = 1 } = tasks[name]!;
    const nsPerCall = (p50 * 1e6) / (calls.get(name) ?? 1) / times;
    return [
      name,
      {
        ns: Number(nsPerCall.toPrecision(3)),
        'p75 / p50': Number((p75 / p50).toFixed(2)),
        ...(bytes !== undefined && { 'GB/s': Number((bytes / nsPerCall).toPrecision(3)) }),
      },
    ] as const;
  });
  console.log(`\n${question}; Node ${process.version}, ${process.arch}`);
  console.table(Object.fromEntries(rows));
  if (kept === bench) throw new Error('never so');
}

/** So many that a sample takes long enough. */
async function callsOf(run: () => unknown, waits: boolean): Promise<number> {
  const endMs = performance.now() + TRIAL_MS;
  let calls = 0;
  for (; performance.now() < endMs; calls++) kept = waits ? await run() : run();
  return Math.max(1, Math.ceil((calls * SAMPLE_US_MIN) / (TRIAL_MS * 1000)));
}
