/** Latencies in HDR histograms: microseconds, three significant digits, up to an hour. */
import { build, type Histogram } from 'hdr-histogram-js';

export type Latency = {
  readonly count: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
};

const HIGHEST_US = 3_600_000_000;

export class LatencyHistogram {
  readonly #histogram: Histogram = build({
    bitBucketSize: 32,
    autoResize: true,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 10_000_000,
    numberOfSignificantValueDigits: 3,
  });

  record(us: number): void {
    this.#histogram.recordValue(us < 0 ? 0 : us > HIGHEST_US ? HIGHEST_US : Math.round(us));
  }

  summary(): Latency {
    const h = this.#histogram;
    const at = (percentile: number): number => (h.totalCount === 0 ? 0 : h.getValueAtPercentile(percentile));
    return {
      count: h.totalCount,
      meanUs: h.totalCount === 0 ? 0 : Math.round(h.mean),
      p50Us: at(50),
      p90Us: at(90),
      p99Us: at(99),
      p999Us: at(99.9),
      maxUs: h.totalCount === 0 ? 0 : h.maxValue,
    };
  }
}
