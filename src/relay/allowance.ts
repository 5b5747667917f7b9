/**
 * Whether this shard may open one more connection to a site:
 *
 *   ramp        as many as messages went through before (ramp.ts)
 *   crowded     the site refused one while it served others: it has had enough of us for a while
 *   the limit   over all shards (site_counts.ts)
 *   fairness    not before another shard that waits for one and has fewer; of two with as many, not before the other
 *               right after one of ours has closed
 *
 * Who is denied one says so. Where none is left, a shard that has two or more above that one leaves one at the end of
 * its message, and of idle ones half of what it has more on each tick. So a shard whose mail came first does not keep
 * the connections while another's waits.
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { Ramp } from './ramp.ts';
import type { SiteCounts } from './site_counts.ts';

export class Allowance {
  readonly #counts: SiteCounts;
  readonly #slot: number;
  readonly #connectionsMax: number;
  readonly #ramp: Ramp;
  #crowdedUntilMs = 0;
  #givesWayUntilMs = 0;
  #denied = false;

  /** `connectionsMax`: over all shards. */
  constructor(counts: SiteCounts, site: string, connectionsMax: number) {
    this.#counts = counts;
    this.#slot = counts.slotOf(site);
    this.#connectionsMax = connectionsMax;
    this.#ramp = new Ramp(connectionsMax);
  }

  /** Of this shard, as far as the site is concerned. */
  get allowed(): number {
    return this.#ramp.allowed;
  }

  /** `size`: of the connections that there are here. */
  mayOpen(size: number): boolean {
    return this.#siteAllows(size) && this.#isFair(size) && this.#hasRoom;
  }

  #siteAllows(size: number): boolean {
    return size < this.#ramp.allowed && (size === 0 || monotonicMs() >= this.#crowdedUntilMs);
  }

  #isFair(size: number): boolean {
    const fewest = this.#counts.fewestOfWaiting(this.#slot);
    return size < fewest || (size === fewest && monotonicMs() >= this.#givesWayUntilMs);
  }

  get #hasRoom(): boolean {
    return this.#counts.hasRoom(this.#slot, this.#connectionsMax);
  }

  /** One more is counted. False: none now; where it is for other shards, they know. */
  acquire(size: number): boolean {
    if (!this.#siteAllows(size)) return false;
    const fair = this.#isFair(size);
    if (!fair) this.#counts.waits(this.#slot);
    const acquired = fair && this.#counts.acquire(this.#slot, this.#connectionsMax);
    this.#denied = !acquired;
    return acquired;
  }

  /** Nobody here waits for one more. */
  enough(): void {
    if (this.#denied) this.#counts.waitsNoMore(this.#slot);
    this.#denied = false;
  }

  /** One has closed, and `size` are left. */
  released(size: number): void {
    if (this.#counts.fewestOfWaiting(this.#slot) <= size) this.#givesWayUntilMs = monotonicMs() + LIMITS.giveWayMs;
    this.#counts.release(this.#slot);
  }

  /**
   * By so many this shard has more than the one that waits and has fewest; not above 0: none waits that has fewer, or
   * it need but take one.
   */
  surplus(size: number): number {
    const surplus = size - this.#counts.fewestOfWaiting(this.#slot);
    return surplus > 0 && this.#hasRoom ? 0 : surplus;
  }

  // --- what the site said ---

  took(): void {
    this.#ramp.took();
  }

  /** To one connection, while it served others. */
  refused(): void {
    this.#crowdedUntilMs = monotonicMs() + LIMITS.crowdedSiteMs;
    this.#ramp.refused();
  }

  /** Nobody is there. */
  blocked(): void {
    this.#ramp.blocked();
  }
}
