/**
 * What became of every copy (one message for one recipient) of a soak, from what its sinks wrote down and its sources
 * were promised. Pure: arrivals and strikes in, a verdict out.
 *
 *   lost       answered 250, and a recipient does not have it
 *   altered    not as it was sent, by its CRC-32
 *   strange    nobody sent it, or not to there
 *   again      a copy that was there already. A strike between the two explains it: that it had been delivered was
 *              not durable yet, or not known. Each explains as many as were in flight when it fell, no more:
 *
 *   in flight  a message on each connection to the site, with all its recipients, its 250 on the way
 *              + what the sinks took in the last moments before, as long as the slowest 250 of the run took and a mark
 *                may wait for company: marks of delivery need the same syncs as commits do. None of those where the
 *                site died and not Postern.
 */
import type { ArrivalLine } from '../load/arrivals_file.ts';
import { Bitmap } from '../load/bitmap.ts';
import { SAMPLE_RECIPIENTS_MAX } from '../load/messages.ts';

/** What may be killed: Postern, a shard of it, or a program that it delivers to. */
export const TARGETS = ['process', 'shard', 'inside', 'mx2'] as const;

/** Something was killed. Times are those of stamp.ts. */
export type Strike = {
  readonly what: (typeof TARGETS)[number];
  /** The site that was hit; undefined: Postern or one of its shards, so copies at every site. */
  readonly site: string | undefined;
  readonly atUs: number;
  /** What was on the wire has come by then. */
  readonly endUs: number;
  /** To what was hit, or from there, at most. */
  readonly connections: number;
};

export type StrikeCount = {
  readonly strike: Strike;
  /** Copies that came again for it. */
  again: number;
  /** How many may. */
  readonly inFlight: number;
  /** How long before the strike the first of two copies had come, at most. */
  oldestUs: number;
};

export type Verdict = {
  readonly copies: number;
  readonly lost: readonly string[];
  readonly altered: number;
  readonly strange: number;
  readonly again: number;
  /** Second copies that no strike explains, or too many for those that might. */
  readonly unexplained: readonly string[];
  readonly strikes: readonly StrikeCount[];
};

type Second = { readonly site: string; readonly name: string; readonly firstUs: number; readonly atUs: number };

/** A mark that is older at the strike was durable, or was never written. */
const UNSYNCED_US_MAX = 10_000_000;

export class Tally {
  altered = 0;
  strange = 0;
  /** Distinct ones. */
  copies = 0;
  /** Messages with more than one recipient, and of more bytes than a journal record holds. */
  several = 0;
  large = 0;
  readonly #largeBytes: number;
  readonly #recipientsOf: (run: number, number: number) => readonly string[] | undefined;
  /** When each copy came last, by run; 0: never. */
  readonly #came = new Map<number, Float64Array>();
  readonly #times = new Map<string, number[]>();
  readonly #seconds: Second[] = [];

  /** `recipientsOf` gives undefined for a run that nobody sent. */
  constructor(recipientsOf: (run: number, number: number) => readonly string[] | undefined, largeBytes: number) {
    this.#recipientsOf = recipientsOf;
    this.#largeBytes = largeBytes;
  }

  get again(): number {
    return this.#seconds.length;
  }

  /** In the order in which a site wrote them. */
  arrived(site: string, { atUs, run, number, bytes, intact, to }: ArrivalLine): void {
    const expected = this.#recipientsOf(run, number);
    if (expected === undefined) {
      this.strange++;
      return;
    }
    if (!intact) {
      this.altered++;
      return;
    }
    if (to.length > 1) this.several++;
    if (bytes > this.#largeBytes) this.large++;
    for (const recipient of to) {
      const at = expected.indexOf(recipient);
      if (at === -1) this.strange++;
      else this.#copy(site, run, number, at, atUs);
    }
  }

  /** Copies of messages that were answered 250 and are not there. */
  lost(acknowledged: ReadonlyMap<number, Bitmap>): string[] {
    const lost: string[] = [];
    for (const [run, numbers] of acknowledged) {
      const came = this.#came.get(run);
      for (const number of numbers.minus(NONE)) {
        (this.#recipientsOf(run, number) ?? []).forEach((recipient, at) => {
          if ((came?.[slotOf(number, at)] ?? 0) === 0) lost.push(`${run}.${number} for ${recipient}`);
        });
      }
    }
    return lost;
  }

  /** `unmarkedUs`: how long a delivery may take to become durable. */
  verdict(acknowledged: ReadonlyMap<number, Bitmap>, strikes: readonly Strike[], unmarkedUs: number): Verdict {
    const counts = strikes
      .toSorted((a, b) => a.atUs - b.atUs)
      .map((strike) => ({ strike, again: 0, inFlight: this.#inFlight(strike, unmarkedUs), oldestUs: 0 }));
    const unexplained: string[] = [];
    for (const second of this.#seconds) {
      const count = counts.find((one) => one.again < one.inFlight && explains(one.strike, second));
      if (count !== undefined) {
        count.again++;
        count.oldestUs = Math.max(count.oldestUs, count.strike.atUs - second.firstUs);
      } else
        unexplained.push(
          `${second.name} at ${second.site}, ${(second.atUs - second.firstUs) / 1000} ms after the first`,
        );
    }
    const { copies, altered, strange, again } = this;
    return { copies, lost: this.lost(acknowledged), altered, strange, again, unexplained, strikes: counts };
  }

  #inFlight({ site, atUs, connections }: Strike, unmarkedUs: number): number {
    const onTheirWay = connections * SAMPLE_RECIPIENTS_MAX;
    return site === undefined ? onTheirWay + this.#cameBetween(atUs - unmarkedUs, atUs) : onTheirWay;
  }

  #copy(site: string, run: number, number: number, at: number, atUs: number): void {
    const slot = slotOf(number, at);
    let came = this.#came.get(run);
    if (came === undefined || slot >= came.length) {
      const longer = new Float64Array(Math.max(8192, slot * 2));
      longer.set(came ?? []);
      this.#came.set(run, longer);
      came = longer;
    }
    const firstUs = came[slot] ?? 0;
    if (firstUs !== 0) this.#seconds.push({ site, name: `${run}.${number}`, firstUs, atUs });
    else this.copies++;
    came[slot] = atUs;
    const times = this.#times.get(site);
    if (times === undefined) this.#times.set(site, [atUs]);
    else times.push(atUs);
  }

  #cameBetween(fromUs: number, toUs: number): number {
    let count = 0;
    for (const times of this.#times.values()) count += times.filter((atUs) => atUs > fromUs && atUs <= toUs).length;
    return count;
  }
}

/** It fell between the two, and not so long after the first that this must have been durable. */
function explains({ site, atUs, endUs }: Strike, second: Second): boolean {
  if (site !== undefined && site !== second.site) return false;
  return endUs >= second.firstUs && atUs <= second.atUs && atUs - second.firstUs <= UNSYNCED_US_MAX;
}

const NONE = new Bitmap();
const RECIPIENT_SLOTS = 8;
const slotOf = (number: number, recipient: number): number => number * RECIPIENT_SLOTS + recipient;
