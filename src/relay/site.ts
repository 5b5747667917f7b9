/**
 * One site as this shard sees it: who is due for it, and its connections.
 *
 *   wait ─► due (at rest, fair) ──wakeNext──► ready (awake, few) ──► connection (busy) ──► next, or idle for a while
 *   offer: fresh from the journal, and nobody before it ─┘  ▲   none idle: open one, if the limit over all shards and
 *                                                           │   the ramp (ramp.ts) allow
 *                                                           └── again: the rest of a parcel, or one that was cut off
 *
 *   no host can be reached ─► blocked for a while: whoever is due, and whoever comes, is deferred without being woken
 *
 * As many are awake as there are connections to take them soon. Those of a site that shares its limit with other shards
 * wait for the shard's next tick, or for whoever comes next.
 */
import { assert } from '../base/assert.ts';
import { monotonicMs, wallMs } from '../base/clock.ts';
import { hashOf } from '../base/hash.ts';
import { LIMITS } from '../config/limits.ts';
import type { Failure } from '../smtp/greeting.ts';
import type { Row, Stored } from '../spool/spool.ts';
import { Allowance } from './allowance.ts';
import type { Carrier } from './delivery.ts';
import { DeliveryConnection } from './delivery.ts';
import { FairQueue } from './fair_queue.ts';
import type { Parcel } from './parcel.ts';
import type { Places } from './places.ts';
import type { NextHop } from './router.ts';
import type { SiteCounts } from './site_counts.ts';
import type { Task } from './slices.ts';
import type { Turns, Waker } from './turns.ts';
import type { Still } from './watchdog.ts';

const NULL_SENDER = hashOf('');

export type SiteRules = {
  /** Connections at once, over all shards. */
  readonly connectionsMax: number;
  readonly connectionMessagesMax: number;
  readonly connectionAgeMsMax: number;
  /** How long a site none of whose hosts can be reached is left alone. */
  readonly blockMs: number;
};

/** What a site needs of the shard's outbound side. */
export interface SiteOwner extends Carrier {
  readonly counts: SiteCounts;
  readonly rules: Readonly<Record<'inside' | 'outside', SiteRules>>;
  readonly places: Places;
  readonly turns: Turns;
  run(task: Task): void;
  /** Of claimed recipients those that may be sent; somebody else has the others. */
  inTime(row: Row, recipients: number[], sinceSeconds: number, site: Site): number[];
  /** Nobody is there for claimed recipients at rest. */
  unreachable(row: Row, recipients: readonly number[], site: Site, failure: Failure): void;
  unreadable(row: Row, recipients: readonly number[], error: unknown): void;
  /** What a slice yields while the journal is behind. */
  roomForMarks(): Promise<void> | undefined;
  siteBlocked(site: Site): void;
  siteConnected(site: Site): void;
  connectionOpened(connection: DeliveryConnection): void;
  connectionClosed(connection: DeliveryConnection): void;
}

export class Site implements Waker {
  readonly key: string;
  readonly side: 'inside' | 'outside';
  readonly rules: SiteRules;
  /** The newest answer of the router; hosts may change while the site stays. */
  hop: NextHop;
  inTurn = false;
  readonly #owner: SiteOwner;
  readonly #due: FairQueue;
  /** Awake; at most one for each connection, and what came back. */
  readonly #ready: Parcel[] = [];
  readonly #connections = new Set<DeliveryConnection>();
  readonly #idle: DeliveryConnection[] = [];
  readonly #allowance: Allowance;
  #connecting = 0;
  #waking = 0;
  /** 1 while a connection asks for work: it is not idle yet. */
  #asking = 0;
  #blockedUntilMs = 0;
  #blockedBy: Failure | null = null;
  #deferring = false;
  #movedMs = monotonicMs();

  /** `down`: when it was seen last, nobody was there. */
  constructor(hop: NextHop, owner: SiteOwner, down: boolean) {
    this.key = hop.site;
    this.side = hop.side;
    this.hop = hop;
    this.rules = owner.rules[hop.side];
    this.#owner = owner;
    this.#due = new FairQueue(owner.places);
    this.#allowance = new Allowance(owner.counts, hop.site, this.rules.connectionsMax);
    if (down) this.#allowance.blocked();
  }

  /** Nothing is here that would be missed. */
  get disposable(): boolean {
    return this.#connections.size === 0 && this.#parcels === 0 && !this.blocked;
  }

  /** Parcels that wait for a connection. */
  get #parcels(): number {
    return this.#due.parcels + this.#waking + this.#ready.length;
  }

  get waiting(): boolean {
    return this.#parcels > 0;
  }

  /** Recipients that are awake and wait. */
  get readySize(): number {
    return this.#ready.reduce((sum, { recipients }) => sum + recipients.length, 0);
  }

  /** When the one at rest that waits longest came, seconds since 1970; Infinity: nobody waits. */
  get oldestSeconds(): number {
    return this.#due.oldestSeconds;
  }

  get blocked(): boolean {
    return this.#blockedBy !== null && monotonicMs() < this.#blockedUntilMs;
  }

  /** Another shard got through. */
  unblock(): void {
    this.#blockedBy = null;
  }

  // --- who comes ---

  /** A fresh parcel goes at once where nobody waits before it; false: it is to wait at rest. */
  offer(parcel: Parcel): boolean {
    if (this.#due.size > 0 || this.#waking > 0 || this.#ready.length >= this.#room || this.blocked) return false;
    if (this.#ready.length === 0) this.#movedMs = monotonicMs();
    this.#ready.push(parcel);
    this.#ahead(parcel.message.row, 1);
    this.pump();
    return true;
  }

  /** Claimed recipients at rest. Their turn comes with the next `turns.go`. */
  wait(row: Row, recipients: readonly number[]): void {
    const { index } = this.#owner.relay.spool;
    if (!this.waiting) this.#movedMs = monotonicMs();
    const sender = index.senderHash(row);
    const nowSeconds = Math.floor(wallMs() / 1000);
    const bulk = this.#isBulk(row);
    for (const recipient of recipients) {
      const priority = bulk ? 'bulk' : index.tried(row, recipient) ? 'tried' : 'fresh';
      this.#due.push(priority, sender, row, recipient, nowSeconds);
    }
    if (this.blocked) return this.#deferDue();
    this.#owner.turns.want(this);
    this.pump();
  }

  /** Goes before everything else: it has waited its time already. */
  pushAgain(parcel: Parcel): void {
    this.#ready.unshift(parcel);
    this.#ahead(parcel.message.row, 1);
    this.pump();
  }

  /** Large, or to many; notices, which have the null sender, never. */
  #isBulk(row: Row): boolean {
    const { index } = this.#owner.relay.spool;
    const small =
      index.contentBytes(row) <= LIMITS.contentInlineBytes && index.recipients(row) <= LIMITS.fewRecipientsMax;
    return !small && index.senderHash(row) !== NULL_SENDER;
  }

  // --- waking ---

  /** How many may be awake or on the way to it: one finds out whether anybody is there, then one a connection. */
  get #room(): number {
    if (this.#owner.turns.crowded) return this.#idle.length + this.#asking;
    return Math.max(1, this.#connections.size - this.#connecting);
  }

  wakeNext(): boolean {
    if (this.blocked || this.#owner.draining || this.#ready.length + this.#waking >= this.#room) return false;
    const taken: number[] = [];
    const row = this.#due.take(taken);
    if (row === -1) return false;
    const recipients = this.#owner.inTime(row, taken, this.#due.takenSinceSeconds, this);
    if (recipients.length === 0) return true;
    const message = this.#owner.relay.spool.wake(row);
    this.#ahead(row, 1);
    if (message instanceof Promise) this.#wake(row, recipients, message);
    else this.#awake(message, recipients);
    return true;
  }

  async #wake(row: Row, recipients: readonly number[], woken: Promise<Stored>): Promise<void> {
    const { turns } = this.#owner;
    const wake = turns.began();
    this.#waking++;
    try {
      const message = await woken;
      this.#waking--;
      this.#awake(message, recipients);
    } catch (error) {
      this.#waking--;
      this.#ahead(row, -1);
      this.#owner.unreadable(row, recipients, error);
    }
    turns.ended(wake);
  }

  #awake(message: Stored, recipients: readonly number[]): void {
    this.#ready.push({ message, recipients, again: 0 });
    if (this.blocked) this.#restReady();
    else this.pump();
  }

  /** What is awake, or will be, counts against what all sites may read ahead. */
  #ahead(row: Row, sign: 1 | -1): void {
    const { index } = this.#owner.relay.spool;
    const content = index.contentBytes(row);
    const bytes = (content <= LIMITS.contentInlineBytes ? content : 0) + 100 * index.recipients(row);
    this.#owner.turns.aheadBytes += sign * bytes;
  }

  #takeReady(): Parcel | undefined {
    const parcel = this.#ready.shift();
    if (parcel !== undefined) this.#ahead(parcel.message.row, -1);
    return parcel;
  }

  /** Nobody will take them soon. */
  #restReady(): void {
    for (let parcel = this.#takeReady(); parcel !== undefined; parcel = this.#takeReady()) {
      const { message, recipients } = parcel;
      this.wait(message.row, recipients);
      this.#owner.relay.spool.rest(message);
    }
  }

  // --- connections ---

  /** Gives ready parcels to idle connections, and opens new ones for who waits. */
  pump(): void {
    if (this.#owner.draining) return;
    while (this.#ready.length > 0) {
      const connection = this.#idle.pop();
      if (connection === undefined) break;
      this.#movedMs = monotonicMs();
      connection.take(this.#takeReady()!);
    }
    const wanted = (): boolean => this.#parcels > this.#connecting + this.#idle.length && !this.blocked;
    // An idle one is there for a parcel that is being woken.
    while (wanted() && this.#allowance.acquire(this.#connections.size)) {
      this.#connecting++;
      this.#movedMs = monotonicMs();
      const connection = new DeliveryConnection(this, this.hop.targets, this.#owner);
      this.#connections.add(connection);
      this.#owner.connectionOpened(connection);
      connection.open();
    }
    if (!wanted()) this.#allowance.enough();
  }

  /** Now and then: time, and other shards, change what may be done. */
  tick(): void {
    if (this.waiting) this.#owner.turns.want(this);
    this.pump();
    const surplus = Math.ceil(this.#allowance.surplus(this.#connections.size) / 2);
    for (const connection of this.#idle.slice(0, Math.max(0, surplus))) connection.quit();
  }

  /** A connection that has finished a message is to be left to another shard. */
  get givesWay(): boolean {
    return this.#allowance.surplus(this.#connections.size) > 1;
  }

  /** A connection asks for work; null: stay idle. */
  next(connection: DeliveryConnection): Parcel | null {
    this.#movedMs = monotonicMs();
    if (this.#due.size > 0) {
      this.#asking = 1;
      this.#owner.turns.want(this);
      this.#owner.turns.go();
      this.#asking = 0;
    }
    const parcel = this.#takeReady();
    if (parcel !== undefined) return parcel;
    this.#idle.push(connection);
    return null;
  }

  connected(): void {
    this.#connecting--;
    this.#movedMs = monotonicMs();
    this.#blockedBy = null;
    this.#owner.counts.greeted(this.key);
    this.#owner.siteConnected(this);
  }

  /** A message was carried, and answered. */
  took(): void {
    this.#allowance.took();
  }

  /** None of the hosts took the connection. With others open, they have merely had enough of us for now. */
  notConnected(connection: DeliveryConnection, failure: Failure): void {
    this.#connecting--;
    this.#movedMs = monotonicMs();
    this.closed(connection);
    if (this.#connections.size > this.#connecting) {
      this.#allowance.refused();
      return;
    }
    this.#blockedBy = failure;
    this.#blockedUntilMs = monotonicMs() + this.rules.blockMs;
    this.#allowance.blocked();
    this.#owner.siteBlocked(this);
    this.#restReady();
    this.#deferDue();
  }

  closed(connection: DeliveryConnection): void {
    const known = this.#connections.delete(connection);
    assert(known, 'a connection closes once');
    this.#allowance.released(this.#connections.size);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#owner.connectionClosed(connection);
  }

  /** Ends what is idle: at shutdown. */
  closeIdle(): void {
    for (const connection of [...this.#idle]) connection.quit();
  }

  // --- who waits in vain ---

  #deferDue(): void {
    if (this.#deferring || this.#due.size === 0) return;
    this.#deferring = true;
    this.#owner.run(this.#deferAll());
  }

  /** A message a step, as long as the site is blocked; when it is no more, the rest is there for another try. */
  *#deferAll(): Generator<Promise<void> | undefined> {
    while (this.#due.size > 0 && this.blocked) {
      const recipients: number[] = [];
      const row = this.#due.take(recipients);
      this.#owner.unreachable(row, recipients, this, this.#blockedBy!);
      yield this.#owner.roomForMarks();
    }
    this.#deferring = false;
  }

  /** Whoever waits too long at rest, a step each; `over` has them then. */
  sweep(over: (row: Row, recipient: number, sinceSeconds: number) => boolean): Generator<void> {
    return this.#due.sweep(over);
  }

  /** The same for those that are awake, where no connection has taken any for long. */
  sweepReady(over: (row: Row, recipient: number, sinceSeconds: number) => boolean): void {
    if (monotonicMs() - this.#movedMs < LIMITS.lastAttemptMs) return;
    const parcels = this.#ready.splice(0);
    for (const { message, recipients, again } of parcels) {
      const left = recipients.filter((recipient) => !over(message.row, recipient, 0));
      if (left.length > 0) this.#ready.push({ message, recipients: left, again });
      else {
        this.#ahead(message.row, -1);
        this.#owner.relay.spool.rest(message);
      }
    }
  }

  // --- what the watchdog asks ---

  /** For how long nobody has moved here, though somebody might; null: all is well, or the servers take their time. */
  still(): Still | null {
    const { size } = this.#connections;
    if (!this.waiting || this.blocked) return null;
    const mayOpen = size === 0 || this.#allowance.mayOpen(size);
    const free = this.#idle.length > 0 || (this.#parcels > this.#connecting && mayOpen);
    if (!free) return null;
    const facts = {
      due: this.#due.size,
      waking: this.#waking,
      ready: this.#ready.length,
      connections: size,
      connecting: this.#connecting,
      idle: this.#idle.length,
      allowed: this.#allowance.allowed,
    };
    return { what: this.key, ms: monotonicMs() - this.#movedMs, facts };
  }
}
