/** Latencies in HDR histograms: microseconds, three significant digits, up to an hour. */
import type { Histogram } from 'hdr-histogram-js';
// The package's index loads its encodings, WebAssembly included, which takes longer than a short run.
import { build } from 'hdr-histogram-js/dist/HistogramBuilder.js';

export type Latency = {
  readonly count: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly p9999Us: number;
  readonly maxUs: number;
};

const HIGHEST_US = 3_600_000_000;

const histogram = (): Histogram =>
  build({
    bitBucketSize: 32,
    autoResize: true,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 10_000_000,
    numberOfSignificantValueDigits: 3,
  });

export class LatencyHistogram {
  /** What the laps before have recorded. */
  readonly #before: Histogram = histogram();
  readonly #lap: Histogram = histogram();

  record(us: number, times = 1): void {
    const value = us < 0 ? 0 : us > HIGHEST_US ? HIGHEST_US : Math.round(us);
    if (times === 1) this.#lap.recordValue(value);
    else this.#lap.recordValueWithCount(value, times);
  }

  /** Since the last call: what a live display shows. */
  lap(): Latency {
    const latency = latencyOf(this.#lap);
    this.#before.add(this.#lap);
    this.#lap.reset();
    return latency;
  }

  /** Of all that was recorded. */
  summary(): Latency {
    this.lap();
    return latencyOf(this.#before);
  }
}

function latencyOf(from: Histogram): Latency {
  const at = (percentile: number): number => (from.totalCount === 0 ? 0 : from.getValueAtPercentile(percentile));
  return {
    count: from.totalCount,
    meanUs: from.totalCount === 0 ? 0 : Math.round(from.mean),
    p50Us: at(50),
    p90Us: at(90),
    p99Us: at(99),
    p999Us: at(99.9),
    p9999Us: at(99.99),
    maxUs: from.totalCount === 0 ? 0 : from.maxValue,
  };
}
