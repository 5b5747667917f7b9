/**
 * What a sink has seen, kept per run of a source: which numbers came, how often one came again, how many were
 * altered, and how long they took from the source to here. Memory: a bit per message and one histogram per run.
 */
import { Bitmap } from './bitmap.ts';
import type { Arrived } from './content_reader.ts';
import { type Latency, LatencyHistogram } from './latency.ts';
import { resultsIn } from './results.ts';

export type RunCounts = {
  /** Distinct numbers that came intact. */
  readonly distinct: number;
  /** Intact messages whose number was there already. */
  readonly duplicates: number;
  readonly altered: number;
  readonly firstUs: number;
  /** When the last distinct number came. */
  readonly lastUs: number;
};

export type RunArrivals = RunCounts & {
  readonly run: number;
  readonly endToEnd: Latency;
  /** Of the Authentication-Results on top of distinct messages: how many had `dkim=pass`, and so on. */
  readonly results: Readonly<Record<string, number>>;
};

export type SinkStats = {
  readonly connections: number;
  readonly connectionsOpen: number;
  /** Messages answered 250 (LMTP: to at least one recipient). */
  readonly messages: number;
  readonly recipients: number;
  readonly bytes: number;
  readonly unstamped: number;
  /** BDAT commands. */
  readonly chunks: number;
  readonly logins: number;
  readonly tls: { readonly handshakes: number; readonly resumed: number };
  /** Replies by design of the options, by code. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly runs: readonly RunArrivals[];
};

class Run {
  readonly seen = new Bitmap();
  readonly latency = new LatencyHistogram();
  readonly results: Record<string, number> = {};
  duplicates = 0;
  altered = 0;
  firstUs = 0;
  lastUs = 0;
}

export class Arrivals {
  #runs = new Map<number, Run>();
  connections = 0;
  connectionsOpen = 0;
  messages = 0;
  recipients = 0;
  bytes = 0;
  unstamped = 0;
  chunks = 0;
  logins = 0;
  #handshakes = 0;
  #resumed = 0;
  refusals: Record<string, number> = {};

  accepted(arrived: Arrived, recipients: number, nowUs: number): void {
    this.messages++;
    this.recipients += recipients;
    this.bytes += arrived.bytes;
    const stamp = arrived.stamp;
    if (stamp === undefined) {
      this.unstamped++;
      return;
    }
    const run = this.#run(stamp.run);
    if (!arrived.intact) {
      run.altered++;
      return;
    }
    if (!run.seen.add(stamp.number)) {
      run.duplicates++;
      return;
    }
    if (run.firstUs === 0) run.firstUs = nowUs;
    run.lastUs = nowUs;
    run.latency.record(nowUs - stamp.sentUs);
    for (const result of resultsIn(arrived.above)) run.results[result] = (run.results[result] ?? 0) + 1;
  }

  secured(resumed: boolean): void {
    this.#handshakes++;
    if (resumed) this.#resumed++;
  }

  refused(code: number): void {
    this.refusals[code] = (this.refusals[code] ?? 0) + 1;
  }

  /** A run's counts alone: cheap enough to ask for while the load runs. */
  counts(run: number): RunCounts {
    return countsOf(this.#runs.get(run) ?? new Run());
  }

  /** The numbers of a run that came intact. */
  seen(run: number): Bitmap {
    return this.#runs.get(run)?.seen ?? new Bitmap();
  }

  stats(): SinkStats {
    const runs: RunArrivals[] = [];
    for (const [id, run] of this.#runs)
      runs.push({ run: id, ...countsOf(run), endToEnd: run.latency.summary(), results: { ...run.results } });
    const { connections, connectionsOpen, messages, recipients, bytes, unstamped, chunks, logins } = this;
    return {
      connections,
      connectionsOpen,
      messages,
      recipients,
      bytes,
      unstamped,
      chunks,
      logins,
      tls: { handshakes: this.#handshakes, resumed: this.#resumed },
      refusals: { ...this.refusals },
      runs,
    };
  }

  #run(id: number): Run {
    let run = this.#runs.get(id);
    if (run === undefined) {
      run = new Run();
      this.#runs.set(id, run);
    }
    return run;
  }
}

function countsOf({ seen, duplicates, altered, firstUs, lastUs }: Run): RunCounts {
  return { distinct: seen.size, duplicates, altered, firstUs, lastUs };
}
