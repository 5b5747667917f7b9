/** The sites of a shard: made when mail is due for one, forgotten when nothing of it is left. */
import type { Row } from '../spool/spool.ts';
import type { NextHop } from './router.ts';
import type { SiteOwner } from './site.ts';
import { Site } from './site.ts';
import type { Still } from './watchdog.ts';

export class Sites {
  readonly #owner: SiteOwner;
  readonly #byKey = new Map<string, Site>();

  constructor(owner: SiteOwner) {
    this.#owner = owner;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Recipients that are awake and wait for a connection. */
  get readySize(): number {
    let ready = 0;
    for (const site of this.#byKey.values()) ready += site.readySize;
    return ready;
  }

  /** When the one that waits longest at rest came, seconds since 1970; Infinity: nobody does. */
  get oldestSeconds(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const site of this.#byKey.values()) oldest = Math.min(oldest, site.oldestSeconds);
    return oldest;
  }

  /** Where a hop leads; `down`: nobody was there when it was tried last. */
  of(hop: NextHop, down: (key: string) => boolean): Site {
    let site = this.#byKey.get(hop.site);
    if (site === undefined) {
      site = new Site(hop, this.#owner, down(hop.site));
      this.#byKey.set(hop.site, site);
    }
    site.hop = hop;
    return site;
  }

  find(key: string): Site | undefined {
    return this.#byKey.get(key);
  }

  /** Whoever waits for what other shards, or time, have given back meanwhile. */
  tick(): void {
    for (const site of this.#byKey.values()) {
      site.tick();
      if (site.disposable) this.#byKey.delete(site.key);
    }
    this.#owner.turns.go();
  }

  /** Age is checked where mail waits for a connection, too: a site may take connections and hang. */
  *sweep(): Generator<void> {
    for (const site of [...this.#byKey.values()]) {
      const over = (row: Row, recipient: number, sinceSeconds: number) =>
        this.#owner.inTime(row, [recipient], sinceSeconds, site).length === 0;
      site.sweepReady(over);
      yield* site.sweep(over);
    }
  }

  /** Those that do not move though they might. */
  still(): Still[] {
    return [...this.#byKey.values()].flatMap((site) => site.still() ?? []);
  }

  /** At shutdown. */
  closeIdle(): void {
    for (const site of this.#byKey.values()) site.closeIdle();
  }
}
