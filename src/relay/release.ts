/**
 * When a site that was down answers again, whoever waits for it is due at once: one walk over the index, in slices, for
 * all sites that have come back meanwhile. How fast they leave is the ramp's business (ramp.ts).
 *
 *   blocked, or found in the journal with an attempt behind it ─► down ──connected──► back ──tick──► one walk
 */
import { LIMITS } from '../config/limits.ts';
import type { Index, Row } from '../spool/spool.ts';
import type { Slices } from './slices.ts';

export class Release {
  readonly #index: Index;
  readonly #slices: Slices;
  readonly #dispatch: (row: Row, recipients: readonly number[]) => void;
  /** Sites by key that have been down since they were reached last, the oldest first. */
  readonly #down = new Set<string>();
  /** Those that answer again: their queue is released with the next tick. */
  #back = new Set<string>();
  #walking = false;

  constructor(index: Index, slices: Slices, dispatch: (row: Row, recipients: readonly number[]) => void) {
    this.#index = index;
    this.#slices = slices;
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
    this.#down.add(site);
    if (this.#down.size <= LIMITS.downSitesMax) return;
    const [oldest] = this.#down;
    if (oldest !== undefined) this.#down.delete(oldest);
  }

  connected(site: string): void {
    if (this.#down.delete(site)) this.#back.add(site);
  }

  /** One walk at a time. */
  tick(): void {
    if (this.#back.size === 0 || this.#walking) return;
    this.#walking = true;
    const sites = this.#back;
    this.#back = new Set();
    this.#slices.run(this.#walk(sites));
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
