/**
 * What a scenario is, and what a run of the bench gives it: children for the load, folders, a voice, and common
 * waits.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunCounts } from './load/arrivals.ts';
import { Bitmap } from './load/bitmap.ts';
import { Child } from './load/child.ts';
import type { SinkApi } from './load/sink.ts';
import type { SourceApi, SourceReport } from './load/source.ts';
import type { Peer } from './peers/peer.ts';

export type Table = {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
};

/** Over the rounds. */
export type Spread = { readonly median: number; readonly least: number; readonly most: number };

/** What holds on another machine, too, or nearly: of figures from the same round. */
export type Ratio = Spread & {
  /** The same from run to run: bounds and kept results go by it (results/bounds.ts). */
  readonly name: string;
  readonly better: 'more' | 'less';
};

/** Bars, one below the other; the whiskers are least and most. */
export type Chart = {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly (Spread & { readonly name: string })[];
};

/** Who was measured. */
export type Measured = { readonly name: string; readonly version: string; readonly durability: string };

export type Outcome = {
  /** What it all comes to, ratios first: a line each. */
  readonly headlines: readonly string[];
  readonly ratios?: readonly Ratio[];
  readonly charts?: readonly Chart[];
  /** Where Postern is not alone. */
  readonly relays?: readonly Measured[];
  readonly tables: readonly Table[];
  /** Work that was not done as promised. Empty, or the figures are void. */
  readonly failures: readonly string[];
  /** Every figure, for --json. */
  readonly figures: unknown;
};

export type Scenario = {
  readonly name: string;
  readonly question: string;
  readonly load: string;
  /** What is expected to limit it, and which figure would be a surprise. */
  readonly bound: string;
  readonly checks: string;
  /** How many it sends, where --messages may say otherwise. */
  readonly messages?: number;
  /** It measures the relays of --vs, too. */
  readonly compares?: true;
  run(bench: Bench): Promise<Outcome>;
};

export type Settings = {
  /** Small counts: shows that it works, not how fast. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Who is measured beside Postern, in the scenarios that compare: --vs. */
  readonly contenders: readonly Peer[];
  /** --messages, for the scenarios that have a number of their own. */
  readonly messages: number | undefined;
};

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const POLL_MS = 20;
/** A relay that delivers nothing for so long has lost the rest. */
const STALL_MS_MAX = 20_000;

export class Bench {
  readonly settings: Settings;
  readonly #root = join(REPOSITORY, 'var', `bench-${process.pid}`);
  readonly #ends: (() => Promise<unknown>)[] = [];

  constructor(settings: Settings) {
    this.settings = settings;
  }

  say(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  /** A folder on the repository's own disk, so that a sync is one. */
  folder(name: string): string {
    const path = join(this.#root, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  source(): Child<SourceApi> {
    return this.started(new Child<SourceApi>('source.ts'));
  }

  sink(): Child<SinkApi> {
    return this.started(new Child<SinkApi>('sink.ts'));
  }

  /** Whatever is to be stopped when the scenario is over, however it ends. */
  started<T extends { stop(): Promise<unknown> }>(one: T): T {
    this.#ends.push(() => one.stop());
    return one;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
    rmSync(this.#root, { recursive: true, force: true });
  }
}

export type Delivery = {
  readonly counts: RunCounts;
  /** Numbers that were answered 250 and never came intact. */
  readonly lost: readonly number[];
};

/** Waits until the sink has every message of the source's last run that was answered 250, or nothing more comes. */
export async function delivery(
  source: Child<SourceApi>,
  sink: Child<SinkApi>,
  report: SourceReport,
): Promise<Delivery> {
  return await deliveryOf(report.run, new Bitmap(await source.call('acknowledged', undefined)), sink, STALL_MS_MAX);
}

/** The same of the numbers of a run. `stallMsMax`: how long nothing may come before the rest counts as lost. */
export async function deliveryOf(
  run: number,
  acknowledged: Bitmap,
  sink: Child<SinkApi>,
  stallMsMax: number,
): Promise<Delivery> {
  let counts = await sink.call('counts', run);
  let lost: readonly number[] = [];
  for (let changedMs = performance.now(); performance.now() - changedMs < stallMsMax; await pause(POLL_MS)) {
    const before = counts.distinct;
    counts = await sink.call('counts', run);
    if (counts.distinct !== before) changedMs = performance.now();
    if (counts.distinct < acknowledged.size) continue;
    // Messages that came without being answered may stand in for others: only the numbers tell.
    lost = acknowledged.minus(new Bitmap(await sink.call('seen', run)));
    if (lost.length === 0) return { counts, lost };
  }
  return { counts, lost: acknowledged.minus(new Bitmap(await sink.call('seen', run))) };
}

/**
 * What is wrong with a load that should have gone through whole, in words. `wanted`: how many it had to send, where
 * that is known.
 */
export function faultsOf(name: string, report: SourceReport, { counts, lost }: Delivery, wanted?: number): string[] {
  const faults: string[] = [];
  if (report.acknowledged !== (wanted ?? report.attempted) || report.gaveUp) {
    const why = JSON.stringify({ ...report.failed, ...report.connectFailed });
    faults.push(`${name}: ${report.acknowledged} of ${wanted ?? report.attempted} answered 250 ${why}`);
  }
  if (lost.length > 0) faults.push(`${name}: ${lost.length} lost after their 250, first ${lost[0]}`);
  if (counts.altered > 0) faults.push(`${name}: ${counts.altered} altered`);
  return faults;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Settings that every Postern under load shares: one client address is the whole world here. */
export const LOAD_ENVIRONMENT = {
  DOMAINS: 'example.org',
  CLIENT_CONNECTIONS_MAX: '20000',
  INSIDE_NETWORKS: '127.0.0.0/8',
} as const;
