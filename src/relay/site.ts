/**
 * One site as this shard sees it: parcels that are ready for it, and its connections.
 *
 *   push ─► ready ─────────────► connection (busy) ──► next parcel, or idle (kept a few seconds for reuse)
 *             ▲   none idle: open one, if the limit over all shards allows
 *             └── again: the rest of a parcel, or one whose reused connection died
 *
 *   no host can be reached ─► blocked for a while: what is ready, and what comes, is deferred without another try
 *
 * Ready parcels of a site that shares its limit with other shards wait for `pump` on the shard's next tick.
 */
import { assert } from '../base/assert.ts';
import { monotonicMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Failure } from '../smtp/client.ts';
import type { Carrier } from './delivery.ts';
import { DeliveryConnection } from './delivery.ts';
import type { NextHop } from './router.ts';
import type { Parcel } from './scheduler.ts';
import type { SiteCounts } from './site_counts.ts';

export type SiteRules = {
  /** Connections at once, over all shards. */
  readonly connectionsMax: number;
  readonly connectionIdleMsMax: number;
  readonly connectionMessagesMax: number;
  readonly connectionAgeMsMax: number;
  /** How long a site none of whose hosts can be reached is left alone. */
  readonly blockMs: number;
};

/** What a site needs of the shard's outbound side. */
export interface SiteOwner extends Carrier {
  readonly counts: SiteCounts;
  readonly rules: Readonly<Record<'inside' | 'outside', SiteRules>>;
  /** The parcel could not be sent to anybody: every recipient shares the failure. */
  unreachable(parcel: Parcel, site: Site, failure: Failure): void;
  connectionOpened(connection: DeliveryConnection): void;
  connectionClosed(connection: DeliveryConnection): void;
}

export class Site {
  readonly key: string;
  readonly side: 'inside' | 'outside';
  readonly rules: SiteRules;
  /** The newest answer of the router; hosts may change while the site stays. */
  hop: NextHop;
  readonly #owner: SiteOwner;
  readonly #slot: number;
  readonly #ready = new ReadyQueue();
  readonly #connections = new Set<DeliveryConnection>();
  readonly #idle: DeliveryConnection[] = [];
  #connecting = 0;
  #blockedUntilMs = 0;
  #crowdedUntilMs = 0;
  #blockedBy: Failure | null = null;

  constructor(hop: NextHop, owner: SiteOwner) {
    this.key = hop.site;
    this.side = hop.side;
    this.hop = hop;
    this.rules = owner.rules[hop.side];
    this.#owner = owner;
    this.#slot = owner.counts.slotOf(hop.site);
  }

  /** Nothing is here that would be missed. */
  get disposable(): boolean {
    return this.#connections.size === 0 && this.#ready.size === 0 && monotonicMs() >= this.#blockedUntilMs;
  }

  get readySize(): number {
    return this.#ready.size;
  }

  get connections(): number {
    return this.#connections.size;
  }

  push(parcel: Parcel): void {
    if (this.#blockedBy !== null && monotonicMs() < this.#blockedUntilMs) {
      this.#owner.unreachable(parcel, this, this.#blockedBy);
      return;
    }
    this.#ready.push(parcel);
    this.pump();
  }

  /** Goes before everything else: it has waited its time already. */
  pushAgain(parcel: Parcel): void {
    this.#ready.pushFirst(parcel);
    this.pump();
  }

  /** Gives ready parcels to idle connections, and opens new ones for the rest. */
  pump(): void {
    while (this.#ready.size > 0) {
      const connection = this.#idle.pop();
      if (connection === undefined) break;
      connection.take(this.#ready.shift()!);
    }
    if (this.#connections.size > 0 && monotonicMs() < this.#crowdedUntilMs) return;
    while (this.#ready.size > this.#connecting && this.#owner.counts.acquire(this.#slot, this.rules.connectionsMax)) {
      this.#connecting++;
      const connection = new DeliveryConnection(this, this.hop.targets, this.#owner);
      this.#connections.add(connection);
      this.#owner.connectionOpened(connection);
      connection.open();
    }
  }

  /** A connection asks for work; null: stay idle. */
  next(connection: DeliveryConnection): Parcel | null {
    const parcel = this.#ready.shift();
    if (parcel === undefined) {
      this.#idle.push(connection);
      return null;
    }
    return parcel;
  }

  connected(): void {
    this.#connecting--;
    this.#blockedBy = null;
  }

  /** None of the hosts took the connection. With others open, they have merely had enough of us for now. */
  notConnected(connection: DeliveryConnection, failure: Failure): void {
    this.#connecting--;
    this.closed(connection);
    if (this.#connections.size > this.#connecting) {
      this.#crowdedUntilMs = monotonicMs() + LIMITS.crowdedSiteMs;
      return;
    }
    this.#blockedBy = failure;
    this.#blockedUntilMs = monotonicMs() + this.rules.blockMs;
    for (const parcel of this.#ready.drain()) this.#owner.unreachable(parcel, this, failure);
  }

  closed(connection: DeliveryConnection): void {
    const known = this.#connections.delete(connection);
    assert(known, 'a connection closes once');
    this.#owner.counts.release(this.#slot);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#owner.connectionClosed(connection);
  }

  /** Ends what is idle: at shutdown. */
  closeIdle(): void {
    for (const connection of [...this.#idle]) connection.quit();
  }
}

/** First in, first out, without moving what waits: an array and the index of its head. */
class ReadyQueue {
  #parcels: (Parcel | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#parcels.length - this.#head;
  }

  push(parcel: Parcel): void {
    this.#parcels.push(parcel);
  }

  pushFirst(parcel: Parcel): void {
    if (this.#head > 0) this.#parcels[--this.#head] = parcel;
    else this.#parcels.unshift(parcel);
  }

  shift(): Parcel | undefined {
    if (this.size === 0) return undefined;
    const parcel = this.#parcels[this.#head];
    this.#parcels[this.#head++] = undefined;
    if (this.#head === this.#parcels.length) {
      this.#parcels = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#parcels.length) {
      this.#parcels = this.#parcels.slice(this.#head);
      this.#head = 0;
    }
    return parcel;
  }

  *drain(): Generator<Parcel> {
    const count = this.size;
    for (let n = 0; n < count; n++) {
      const parcel = this.shift();
      if (parcel !== undefined) yield parcel;
    }
  }
}
