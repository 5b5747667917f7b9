/**
 * Whether this shard may open one more connection to a site:
 *
 *   ramp        as many as messages went through before (ramp.ts)
 *   crowded     the site refused one while it served others: it has had enough of us for a while
 *   the limit   over all shards (site_counts.ts)
 *
 * Who is denied one by the limit says so. A shard that has more by two or more leaves one at the end of its message,
 * and of idle ones half of what it has more on each tick; then it opens none for a while, so that the other finds it
 * free. So a shard whose mail came first does not keep the connections while another's waits.
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
    return this.#maySoon(size) && this.#counts.hasRoom(this.#slot, this.#connectionsMax);
  }

  #maySoon(size: number): boolean {
    const nowMs = monotonicMs();
    return size < this.#ramp.allowed && nowMs >= this.#givesWayUntilMs && (size === 0 || nowMs >= this.#crowdedUntilMs);
  }

  /** One more is counted. False: none now; where the limit is why, other shards know. */
  acquire(size: number): boolean {
    if (!this.#maySoon(size)) return false;
    this.#denied = !this.#counts.acquire(this.#slot, this.#connectionsMax);
    return !this.#denied;
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

  /** By so many this shard has more than the one that waits and has fewest; not above 0: nobody waits who has fewer. */
  surplus(size: number): number {
    return size - this.#counts.fewestOfWaiting(this.#slot);
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
