/**
 * What waits at rest is woken here, site by site in turn, so that no site's million delays another's one.
 *
 *   want ─► [site, site, …] ── one parcel each ──► spool.wake: at once from memory, or one of WAKES under way
 *
 * A site takes as many as its connections can carry soon (site.ts); together they read ahead READY_BYTES at most.
 */
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';

/** A site, as its turns see it. */
export interface Waker {
  /** Set and cleared here. */
  inTurn: boolean;
  /** Wakes the parcel that is next; false: it has none, or no room for it. */
  wakeNext(): boolean;
}

export class Turns {
  readonly #ring: Waker[] = [];
  /** By a number of its own, when it began. */
  readonly #wakes = new Map<number, number>();
  #wakeLast = 0;
  #going = false;
  /** Of parcels that are awake and wait for a connection, or are being woken. */
  aheadBytes = 0;

  /** Its turn comes with the next `go`. */
  want(site: Waker): void {
    if (site.inTurn) return;
    site.inTurn = true;
    this.#ring.push(site);
  }

  /** Sites have their turns until nobody wants one, or enough is under way. Safe within a turn. */
  go(): void {
    if (this.#going) return;
    this.#going = true;
    while (this.#wakes.size < LIMITS.wakesMax) {
      const site = this.#ring.shift();
      if (site === undefined) break;
      site.inTurn = false;
      if (site.wakeNext()) this.want(site);
    }
    this.#going = false;
  }

  /** Only connections that wait for work get some. */
  get crowded(): boolean {
    return this.aheadBytes >= LIMITS.readyBytesMax;
  }

  get underWay(): number {
    return this.#wakes.size;
  }

  /** A wake that takes its time has begun; its number is for `ended`. */
  began(): number {
    this.#wakes.set(++this.#wakeLast, monotonicMs());
    return this.#wakeLast;
  }

  ended(wake: number): void {
    this.#wakes.delete(wake);
    this.go();
  }

  /** How long the oldest wake is under way, milliseconds. */
  get oldestMs(): number {
    const [oldest] = this.#wakes.values();
    return oldest === undefined ? 0 : monotonicMs() - oldest;
  }
}
