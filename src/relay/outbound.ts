/**
 * From the journal to their 250, one step after the other:
 *
 *   enqueue ─► dispatch: router names a site for each recipient ─► site: ready ─► delivery.ts: one transaction
 *      ▲                                                                             │ an outcome per recipient
 *      └── scheduler ◄── deferred ◄─────── settle: marks in the journal, and notices of what became of it ◄┘
 *
 * A recipient is final only when the journal says so; until then a crash leads to another attempt, never to a loss
 * (architecture §3.6).
 */
import { assert } from '../base/assert.ts';
import { monotonicMs, wallMs } from '../base/clock.ts';
import { randomFraction } from '../base/random.ts';
import type { Handover } from '../policy/notice.ts';
import type { Failure, Outcome } from '../smtp/client.ts';
import type { Row, Spool, Stored } from '../spool/spool.ts';
import type { DeliveryConnection } from './delivery.ts';
import { logUnreported, NoticeDesk } from './notice.ts';
import type { Relay } from './relay.ts';
import type { NextHop, NoHop, Router } from './router.ts';
import type { Parcel } from './scheduler.ts';
import { Scheduler, TICK_MS } from './scheduler.ts';
import type { Notice } from './settlement.ts';
import { settle } from './settlement.ts';
import type { SiteOwner, SiteRules } from './site.ts';
import { Site } from './site.ts';
import type { SiteCounts } from './site_counts.ts';

/** Who answered, for logs and DSNs; all '' when nobody was reached. */
export type Peer = {
  readonly host: string;
  readonly address: string;
  readonly tls: string;
  /** What its 250 means for those who asked for a notification. */
  readonly handover: Handover;
};
const NOBODY: Peer = { host: '', address: '', tls: '', handover: 'silent' };

export class Outbound implements SiteOwner {
  readonly relay: Relay;
  readonly counts: SiteCounts;
  readonly rules: Readonly<Record<'inside' | 'outside', SiteRules>>;
  readonly #spool: Spool;
  readonly #router: Router;
  readonly #sites = new Map<string, Site>();
  readonly #scheduler = new Scheduler(wallMs());
  readonly #notices: NoticeDesk;
  readonly #connections = new Set<DeliveryConnection>();
  readonly #tick: NodeJS.Timeout;
  #draining = false;
  #drained: Promise<void> | null = null;
  #noConnection: () => void = () => {};

  constructor(relay: Relay, router: Router, counts: SiteCounts, rules: Outbound['rules']) {
    this.relay = relay;
    this.counts = counts;
    this.rules = rules;
    this.#spool = relay.spool;
    this.#notices = new NoticeDesk(relay);
    this.#router = router;
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
    this.#tick.unref();
  }

  /** A message that has just become durable; its holder's hold goes to its parcel. */
  enqueue(message: Stored): void {
    const recipients = message.envelope.recipients.map((_, at) => at);
    for (const at of recipients) this.#spool.index.claim(message.row, at);
    this.#dispatch({ message, recipients, again: 0 });
  }

  /** A message at rest: what is due is sent, the rest scheduled; what somebody delivers, or holds, is let be. */
  look(row: Row): void {
    const { index } = this.#spool;
    const nowMs = wallMs();
    const due: number[] = [];
    const later = new Set<number>();
    for (let at = 0; at < index.recipients(row); at++) {
      const dueMs = index.dueMs(row, at);
      if (dueMs === null || index.claimed(row, at)) continue;
      if (dueMs <= nowMs) due.push(at);
      else if (dueMs !== Number.POSITIVE_INFINITY) later.add(dueMs);
    }
    for (const dueMs of later) this.#scheduler.add(row, dueMs);
    if (due.length === 0) return;
    for (const at of due) index.claim(row, at);
    this.#wake(row, due);
  }

  async #wake(row: Row, recipients: readonly number[]): Promise<void> {
    try {
      this.#dispatch({ message: await this.#spool.wake(row), recipients, again: 0 });
    } catch (error) {
      this.relay.spoolFailed(error);
      for (const at of recipients) this.#spool.index.unclaim(row, at);
      this.#scheduler.add(row, wallMs() + UNREADABLE_AGAIN_MS);
    }
  }

  get scheduled(): number {
    return this.#scheduler.size;
  }

  get ready(): number {
    let ready = 0;
    for (const site of this.#sites.values()) ready += site.readySize;
    return ready;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Finishes the transactions under way and starts no other. What is not delivered stays in the journal. */
  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  /** The last outcomes may have notices, which are written before the journal may close. */
  async #drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#noConnection = resolve;
      this.#draining = true;
      clearInterval(this.#tick);
      for (const site of this.#sites.values()) site.closeIdle();
      if (this.#connections.size === 0) resolve();
    });
    await this.#notices.idle();
  }

  /** When the time for draining is over. */
  abort(): void {
    for (const connection of [...this.#connections]) connection.abort();
  }

  #onTick(): void {
    const due = this.#notices.crowded ? [] : this.#scheduler.due(wallMs());
    for (const row of due) if (this.#spool.index.has(row)) this.look(row);
    for (const site of this.#sites.values()) {
      if (site.disposable) this.#sites.delete(site.key);
      else if (site.readySize > 0) site.pump();
    }
  }

  /** Splits a parcel by site. Most have one recipient and a hop that is known at once. */
  #dispatch(parcel: Parcel): void {
    if (this.#draining) return;
    const { message, recipients } = parcel;
    if (recipients.length === 1) {
      const hop = this.#hopOf(message, recipients[0]!);
      if (hop instanceof Promise) hop.then((answer) => this.#send(parcel, answer));
      else this.#send(parcel, hop);
      return;
    }
    this.#split(parcel);
  }

  async #split(parcel: Parcel): Promise<void> {
    const hops = new Map<string, NextHop | NoHop | Promise<NextHop | NoHop>>();
    const domains = parcel.recipients.map((at) => domainOf(parcel.message.envelope.recipients[at]!.address));
    for (const domain of new Set(domains)) hops.set(domain, this.#router.nextHop(domain));
    const bySite = new Map<string, { hop: NextHop | NoHop; recipients: number[] }>();
    const answers = new Map<string, NextHop | NoHop>();
    for (const [domain, hop] of hops) answers.set(domain, hop instanceof Promise ? await hop : hop);
    parcel.recipients.forEach((recipient, at) => {
      const hop = answers.get(domains[at]!)!;
      const key = hop.tag === 'hop' ? hop.site : `${hop.permanent} ${hop.enhanced} ${hop.detail}`;
      const group = bySite.get(key);
      if (group === undefined) bySite.set(key, { hop, recipients: [recipient] });
      else group.recipients.push(recipient);
    });
    for (const { hop, recipients } of bySite.values()) this.#send({ ...this.again(parcel), recipients }, hop);
    this.#spool.rest(parcel.message);
  }

  #hopOf(message: Stored, recipient: number): NextHop | NoHop | Promise<NextHop | NoHop> {
    return this.#router.nextHop(domainOf(message.envelope.recipients[recipient]!.address));
  }

  #send(parcel: Parcel, hop: NextHop | NoHop): void {
    if (this.#draining) return;
    if (hop.tag === 'none') {
      const { permanent, enhanced, detail } = hop;
      this.#settleAll(parcel, '', { permanent, code: 0, enhanced, text: detail, stage: 'route' });
      return;
    }
    let site = this.#sites.get(hop.site);
    if (site === undefined) {
      site = new Site(hop, this);
      this.#sites.set(hop.site, site);
    }
    site.hop = hop;
    site.push(parcel);
  }

  /** The same parcel, with a hold of its own. */
  again(parcel: Parcel): Parcel {
    const message = this.#spool.wake(parcel.message.row);
    assert(!(message instanceof Promise), 'a parcel holds its message awake');
    return { ...parcel, message };
  }

  unreachable(parcel: Parcel, site: Site, failure: Failure): void {
    this.#settleAll(parcel, site.key, failure);
  }

  connectionOpened(connection: DeliveryConnection): void {
    this.#connections.add(connection);
    this.relay.metrics.count('connections_out_opened');
  }

  connectionClosed(connection: DeliveryConnection): void {
    this.#connections.delete(connection);
    if (this.#draining && this.#connections.size === 0) this.#noConnection();
  }

  get draining(): boolean {
    return this.#draining;
  }

  #settleAll(parcel: Parcel, site: string, failure: Failure): void {
    const { permanent, code, enhanced, text } = failure;
    const outcome: Outcome = { tag: permanent ? 'failed' : 'deferred', code, enhanced, text };
    this.settle(
      parcel,
      site,
      parcel.recipients.map(() => outcome),
      NOBODY,
      monotonicMs(),
    );
  }

  /**
   * The operator gives up recipients that it has claimed; its hold of the message ends here. Resolves to false where
   * there is no room for the bounce, and then they wait as before.
   */
  async giveUp(message: Stored, recipients: readonly number[], outcome: Outcome): Promise<boolean> {
    const outcomes = recipients.map(() => outcome);
    return await this.settle({ message, recipients, again: 0 }, '', outcomes, NOBODY, monotonicMs());
  }

  /**
   * What became of a parcel's recipients, in its order, and the end of its hold. What follows is settlement.ts. True,
   * or resolves to true: whoever must be told is told.
   */
  settle(
    parcel: Parcel,
    site: string,
    outcomes: readonly Outcome[],
    peer: Peer,
    startMs: number,
  ): Promise<boolean> | true {
    const { message, recipients } = parcel;
    const { envelope, row } = message;
    const { index } = this.#spool;
    const nowMs = wallMs();
    const attempt = { site, recipients, outcomes, peer, nowMs, chance: randomFraction() };
    const settled = settle(envelope, (recipient) => message.state(recipient), attempt, this.relay.config);
    for (const at of recipients) if (index.dueMs(row, at) === null) index.unclaim(row, at); // lost meanwhile
    this.relay.logAttempt(message, site, recipients, outcomes, peer, monotonicMs() - startMs);
    const { metrics } = this.relay;
    for (let n = 0; n < settled.delivered; n++) metrics.observe('queue_seconds', (nowMs - envelope.acceptedMs) / 1000);
    if (settled.expired > 0) metrics.count('recipients_expired', settled.expired);
    for (const [why, alike] of settled.unreported) logUnreported(this.relay, envelope, 'failed', why, alike.length);
    if (settled.changes.length > 0) this.relay.record(row, settled.changes);
    for (const { recipient, state } of settled.changes) if (state.tag === 'waiting') index.unclaim(row, recipient);
    for (const dueMs of settled.retryMs) this.#scheduler.add(row, dueMs);
    if (settled.notices.length > 0) return this.#tell(message, settled.notices);
    this.#spool.rest(message);
    return true;
  }

  /** Holds the message until all is told; false where it could not be. */
  async #tell(message: Stored, notices: readonly Notice[]): Promise<boolean> {
    const { row } = message;
    let told = true;
    try {
      for (const notice of notices) {
        if (await this.#notices.tell(message, notice)) continue;
        told = false;
        // No room for a bounce: the failure is not recorded, so the recipient is tried, and bounced, later.
        for (const { recipient } of notice.recipients) this.#spool.index.unclaim(row, recipient);
        this.#scheduler.add(row, wallMs() + BOUNCE_AGAIN_MS);
      }
      return told;
    } finally {
      this.#spool.rest(message);
    }
  }
}

const BOUNCE_AGAIN_MS = 60_000;
const UNREADABLE_AGAIN_MS = 60_000;

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);
