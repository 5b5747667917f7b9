/**
 * When a site that was down answers again, whoever waits for it is due at once: one walk over the index, in slices, for
 * all sites that have come back meanwhile. How fast they leave is the ramp's business (ramp.ts).
 *
 *   blocked, or found in the journal with an attempt behind it ─► down ──connected──► back ──tick──► one walk
 *                                            another shard has been greeted there ──┘
 */
import { LIMITS } from '../config/limits.ts';
import type { Index, Row } from '../spool/spool.ts';
import type { Slices } from './slices.ts';

/** What a release needs of the shard's outbound side. */
export interface ReleaseOwner {
  /** `SiteCounts.greetings` */
  greetings(site: string): number;
  /** Another shard got through to it. */
  siteIsBack(site: string): void;
}

export class Release {
  readonly #index: Index;
  readonly #slices: Slices;
  readonly #dispatch: (row: Row, recipients: readonly number[]) => void;
  readonly #owner: ReleaseOwner;
  /** Sites that have been down since they were reached last, the oldest first, and the greetings at that time. */
  readonly #down = new Map<string, number>();
  /** Those that answer again: their queue is released with the next tick. */
  #back = new Set<string>();
  #walking = false;

  constructor(
    index: Index,
    slices: Slices,
    owner: ReleaseOwner,
    dispatch: (row: Row, recipients: readonly number[]) => void,
  ) {
    this.#index = index;
    this.#slices = slices;
    this.#owner = owner;
    this.#dispatch = dispatch;
  }

  down(site: string): boolean {
    return this.#down.has(site);
  }

  /** A message that recovery found: nobody knows how its sites are now. */
  found(row: Row): void {
    for (let at = 0; at < this.#index.recipients(row); at++) {
      const site = this.#index.site(row, at);
      if (site !== '' && !this.#down.has(site)) this.blocked(site);
    }
  }

  blocked(site: string): void {
    this.#down.delete(site);
    this.#down.set(site, this.#owner.greetings(site));
    if (this.#down.size <= LIMITS.downSitesMax) return;
    const [oldest] = this.#down.keys();
    if (oldest !== undefined) this.#down.delete(oldest);
  }

  connected(site: string): void {
    if (this.#down.delete(site)) this.#back.add(site);
  }

  /** One walk at a time. */
  tick(): void {
    this.#askOthers();
    if (this.#back.size === 0 || this.#walking) return;
    this.#walking = true;
    const sites = this.#back;
    this.#back = new Set();
    this.#slices.run(this.#walk(sites));
  }

  /** What another shard has found out. */
  #askOthers(): void {
    for (const [site, before] of this.#down) {
      const greetings = this.#owner.greetings(site);
      if (greetings === -1 || greetings === before) continue;
      this.connected(site);
      this.#owner.siteIsBack(site);
    }
  }

  *#walk(sites: ReadonlySet<string>): Generator<void> {
    const index = this.#index;
    for (const row of index.rows()) {
      const due: number[] = [];
      for (let at = 0; at < index.recipients(row); at++) {
        if (!sites.has(index.site(row, at)) || index.claimed(row, at)) continue;
        if (index.dueMs(row, at) !== Number.POSITIVE_INFINITY) due.push(at);
      }
      if (due.length > 0) this.#dispatch(row, due);
      yield;
    }
    this.#walking = false;
  }
}
