/**
 * From the journal to their 250, one step after the other:
 *
 *   enqueue ─► route: the router names a site for each recipient ─► site: due ─► ready ─► delivery.ts: one transaction
 *    ▲   ▲                                                            │ nobody is there             │ an outcome each
 *  look  │                                                            ▼                             ▼
 *    │   └── the notice ◄── no attempt is left ◄──────────────── deferrals.ts      settle: marks in the journal
 *   wheel ◄── its next time ◄─────────────────────────────────────────┴─────────────────────────────┘
 *
 * What waits is at rest: numbers in wheel.ts and places.ts. It is awake from its site's `ready` to `settle`.
 * A recipient is final only when the journal says so; until then a crash leads to another attempt, never to a loss
 * (architecture §3.6). Who dispatches one claims it, and has it until it is final or waits again.
 */
import { assert } from '../base/assert.ts';
import { monotonicMs, wallMs } from '../base/clock.ts';
import { randomFraction } from '../base/random.ts';
import { LIMITS } from '../config/limits.ts';
import type { Handover } from '../policy/notice.ts';
import type { Failure, Outcome } from '../smtp/client.ts';
import type { Change, Row, Spool, Stored } from '../spool/spool.ts';
import { Deferrals } from './deferrals.ts';
import type { DeliveryConnection } from './delivery.ts';
import { Endings } from './endings.ts';
import { logUnreported, NoticeDesk } from './notice.ts';
import type { Parcel } from './parcel.ts';
import { Places } from './places.ts';
import type { Relay } from './relay.ts';
import type { NextHop, Router } from './router.ts';
import type { Hop } from './routing.ts';
import { Routing } from './routing.ts';
import { Schedule } from './schedule.ts';
import type { Notice } from './settlement.ts';
import { settle } from './settlement.ts';
import type { Site, SiteOwner, SiteRules } from './site.ts';
import type { SiteCounts } from './site_counts.ts';
import { Sites } from './sites.ts';
import type { Task } from './slices.ts';
import { Slices } from './slices.ts';
import { Turns } from './turns.ts';
import { Watchdog } from './watchdog.ts';
import { TICK_MS } from './wheel.ts';

/** Who answered, for logs and DSNs; all '' when nobody was reached. */
export type Peer = {
  readonly host: string;
  readonly address: string;
  readonly tls: string;
  /** What its 250 means for those who asked for a notification. */
  readonly handover: Handover;
};
const NOBODY: Peer = { host: '', address: '', tls: '', handover: 'silent' };

/** Recipients, but for the last three; `ready` ones are due and wait for DNS, a connection or a notice. */
export type QueueNumbers = {
  readonly ready: number;
  readonly scheduled: number;
  readonly held: number;
  /** Of the one that waits longest at rest. */
  readonly oldestDueSeconds: number;
  readonly sites: number;
  readonly stalled: number;
  readonly connectionsOut: number;
};

/** Every so many ticks. */
const LOG_TICKS = 4;
const WATCH_TICKS = 20;
const SWEEP_TICKS = 240;

export class Outbound implements SiteOwner {
  readonly relay: Relay;
  readonly counts: SiteCounts;
  readonly rules: Readonly<Record<'inside' | 'outside', SiteRules>>;
  readonly places = new Places();
  readonly turns = new Turns();
  readonly #spool: Spool;
  readonly #router: Router;
  readonly #slices = new Slices();
  readonly #schedule: Schedule;
  readonly #routing: Routing;
  readonly #deferrals: Deferrals;
  readonly #endings: Endings;
  readonly #notices: NoticeDesk;
  readonly #watchdog: Watchdog;
  readonly #sites = new Sites(this);
  readonly #connections = new Set<DeliveryConnection>();
  readonly #tick: NodeJS.Timeout;
  #ticks = 0;
  #sweeping = false;
  draining = false;
  #drained: Promise<void> | null = null;
  #noConnection: () => void = () => {};

  constructor(relay: Relay, router: Router, counts: SiteCounts, rules: Outbound['rules']) {
    this.relay = relay;
    this.counts = counts;
    this.rules = rules;
    this.#spool = relay.spool;
    this.#router = router;
    this.#routing = new Routing(this, this.#spool.index, this.places, this.#slices);
    this.#deferrals = new Deferrals(this, this.#spool);
    this.#endings = new Endings(this, this.#spool, this.places);
    this.#schedule = new Schedule(this, this.#spool.index, this.#slices);
    this.#notices = new NoticeDesk(relay);
    this.#watchdog = new Watchdog(relay.logger);
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
    this.#tick.unref();
  }

  /** Looks at all that recovery found. */
  start(): void {
    this.#schedule.start();
  }

  /** A message that has just become durable; its holder's hold comes with it. */
  enqueue(message: Stored): void {
    const { row } = message;
    if (this.draining) return this.#spool.rest(message);
    if (this.#enqueueAtOnce(message)) return;
    this.#spool.keep(message);
    this.look(row);
  }

  /** The shortest way, and the usual one: one recipient, a site that is known, nobody before it. */
  #enqueueAtOnce(message: Stored): boolean {
    const { row, envelope } = message;
    const { index } = this.#spool;
    if (envelope.recipients.length > 1) return false;
    const hop = this.#router.nextHop(index.destination(row, 0));
    if (hop instanceof Promise || hop.tag === 'none') return false;
    index.claim(row, 0);
    if (this.#siteOf(hop).offer({ message, recipients: ONLY, again: 0 })) return true;
    index.unclaim(row, 0);
    return false;
  }

  /** A message at rest: what is due is sent, the rest scheduled; what somebody delivers, or holds, is let be. */
  look(row: Row): void {
    if (!this.draining) this.#schedule.look(row);
  }

  dispatch(row: Row, recipients: readonly number[]): void {
    this.#routing.route(row, recipients, nowSeconds());
  }

  nextHop(destination: string): Hop | Promise<Hop> {
    return this.#router.nextHop(destination);
  }

  arrived(row: Row, recipients: readonly number[], hop: Hop): void {
    if (hop.tag === 'hop') return this.#siteOf(hop).wait(row, recipients);
    const { permanent, enhanced, detail } = hop;
    this.#deferrals.defer(row, recipients, '', { permanent, code: 0, enhanced, text: detail, stage: 'route' });
  }

  routed(): void {
    this.turns.go();
  }

  #siteOf(hop: NextHop): Site {
    return this.#sites.of(hop, (key) => this.#schedule.release.down(key));
  }

  /** For gauges. */
  get numbers(): QueueNumbers {
    const { recipientsWaiting, recipientsClaimed, recipientsHeld } = this.#spool.index;
    const dueSeconds = Math.max(nowSeconds() - this.#sites.oldestSeconds, this.#schedule.lateMs / 1000);
    return {
      ready: this.places.size + this.#sites.readySize,
      scheduled: Math.max(0, recipientsWaiting - recipientsClaimed - recipientsHeld),
      held: recipientsHeld,
      oldestDueSeconds: Math.max(0, Math.round(dueSeconds)),
      sites: this.#sites.size,
      stalled: this.#watchdog.stalled,
      connectionsOut: this.#connections.size,
    };
  }

  // --- the end ---

  /** Finishes the transactions under way and starts no other. What is not delivered stays in the journal. */
  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  /** The last outcomes may have notices, which are written before the journal may close. */
  async #drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#noConnection = resolve;
      this.draining = true;
      clearInterval(this.#tick);
      this.#slices.stop();
      this.#deferrals.log();
      this.#sites.closeIdle();
      if (this.#connections.size === 0) resolve();
    });
    await this.#notices.idle();
  }

  /** When the time for draining is over. */
  abort(): void {
    for (const connection of [...this.#connections]) connection.abort();
  }

  // --- time ---

  #onTick(): void {
    this.#ticks++;
    this.#routing.tick();
    if (!this.#notices.crowded) this.#schedule.tick();
    this.#sites.tick();
    if (this.#ticks % LOG_TICKS === 0) {
      this.#deferrals.log();
      this.#schedule.release.tick();
    }
    if (this.#ticks % WATCH_TICKS === 0) this.#watch();
    if (this.#ticks % SWEEP_TICKS === 0 && !this.#sweeping) {
      this.#sweeping = true;
      this.#slices.run(this.#sweep());
    }
  }

  *#sweep(): Generator<void> {
    yield* this.#sites.sweep();
    this.#sweeping = false;
  }

  endMs(row: Row): number {
    return this.#spool.index.acceptedMs(row) + this.relay.config.queueSecondsMax * 1000;
  }

  /** Who is too old has had a last attempt of its own: it was let in, and nobody took it. */
  inTime(row: Row, recipients: number[], sinceSeconds: number, site: Site): number[] {
    const { index } = this.#spool;
    const old = wallMs() >= this.endMs(row) && nowSeconds() - sinceSeconds >= LIMITS.lastAttemptMs / 1000;
    if (!old && index.has(row)) return recipients;
    const waiting = recipients.filter((at) => index.dueMs(row, at) !== null);
    for (const at of recipients) if (!waiting.includes(at)) index.unclaim(row, at); // lost meanwhile
    if (!old) return waiting;
    if (waiting.length > 0) this.tells(row, waiting, site.key, TOO_LATE);
    return [];
  }

  #watch(): void {
    this.#watchdog.ask([
      ...this.#sites.still(),
      { what: 'wheel', ms: this.#schedule.lateMs, facts: { rows: this.#schedule.size } },
      { what: 'wakes', ms: this.turns.oldestMs, facts: { underWay: this.turns.underWay } },
      { what: 'notices', ms: this.#endings.oldestMs, facts: { underWay: this.#endings.underWay } },
    ]);
  }

  // --- what sites, deferrals and endings report ---

  run(task: Task): void {
    this.#slices.run(task);
  }

  roomForMarks(): Promise<void> | undefined {
    return this.#deferrals.room();
  }

  unreachable(row: Row, recipients: readonly number[], site: Site, failure: Failure): void {
    this.#deferrals.defer(row, recipients, site.key, failure);
  }

  siteBlocked(site: Site): void {
    this.relay.metrics.count(site.side === 'inside' ? 'attempts_inside_deferred' : 'attempts_outside_deferred');
    this.#schedule.release.blocked(site.key);
  }

  siteConnected(site: Site): void {
    this.#schedule.release.connected(site.key);
  }

  greetings(site: string): number {
    return this.counts.greetings(site);
  }

  siteIsBack(site: string): void {
    this.#sites.find(site)?.unblock();
  }

  tells(row: Row, recipients: readonly number[], site: string, outcome: Outcome): void {
    this.#endings.add(row, recipients, site, outcome, nowSeconds());
  }

  schedule(row: Row, dueMs: number): void {
    this.#schedule.add(row, dueMs);
  }

  /** The disk does not give it back: it is tried again, and given up when its time is over, without a notice. */
  unreadable(row: Row, recipients: readonly number[], error: unknown): void {
    this.relay.spoolFailed(error);
    const { index } = this.#spool;
    if (index.has(row) && wallMs() >= this.endMs(row)) {
      const lost = { key: index.key(row), domain: index.domain(row, recipients[0]!), recipients: recipients.length };
      this.relay.logger.log('spool-lost', { ...lost, detail: String(error) });
      const failed = recipients.map((recipient): Change => ({ recipient, state: { tag: 'failed' } }));
      this.relay.record(row, failed);
      return;
    }
    for (const at of recipients) index.unclaim(row, at);
    this.#schedule.add(row, wallMs() + DISK_AGAIN_MS);
  }

  /** The same parcel, with a hold of its own. */
  again(parcel: Parcel): Parcel {
    const message = this.#spool.wake(parcel.message.row);
    assert(!(message instanceof Promise), 'a parcel holds its message awake');
    return { ...parcel, message };
  }

  connectionOpened(connection: DeliveryConnection): void {
    this.#connections.add(connection);
    this.relay.metrics.count('connections_out_opened');
  }

  connectionClosed(connection: DeliveryConnection): void {
    this.#connections.delete(connection);
    if (this.draining && this.#connections.size === 0) this.#noConnection();
  }

  // --- what became of them ---

  settleUnsent(parcel: Parcel, site: string, outcome: Outcome): Promise<boolean> | true {
    return this.settle(parcel, site, new Array(parcel.recipients.length).fill(outcome), NOBODY, monotonicMs());
  }

  /**
   * The operator gives up recipients that it has claimed; its hold of the message ends here. Resolves to false where
   * there is no room for the bounce, and then they wait as before.
   */
  async giveUp(message: Stored, recipients: readonly number[], outcome: Outcome): Promise<boolean> {
    return await this.settleUnsent({ message, recipients, again: 0 }, '', outcome);
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
    for (const dueMs of settled.retryMs) this.#schedule.add(row, dueMs);
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
        this.#schedule.add(row, wallMs() + DISK_AGAIN_MS);
      }
      return told;
    } finally {
      this.#spool.rest(message);
    }
  }
}

const ONLY: readonly number[] = [0];
const TOO_LATE: Outcome = { tag: 'deferred', code: 0, enhanced: '4.4.7', text: 'no connection was free for it' };

/** After the disk had no room for a bounce, or did not give a message back. */
const DISK_AGAIN_MS = 60_000;

const nowSeconds = (): number => Math.floor(wallMs() / 1000);
