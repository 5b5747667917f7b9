/**
 * Recipients that are due, and nobody is there for them: they wait on without having been woken. A wave of half a
 * million of them is marks in the journal, in slices, and one line in the log.
 *
 *   defer ─► time left ────► mark: one attempt more, its words and site ─► scheduled again
 *        └─► none, or for good, or late ─► endings.ts: somebody is told
 */
import { wallMs } from '../base/clock.ts';
import { hashOf } from '../base/hash.ts';
import { randomFraction } from '../base/random.ts';
import { LIMITS } from '../config/limits.ts';
import type { Outcome } from '../smtp/client.ts';
import type { Failure } from '../smtp/greeting.ts';
import type { Change, Row, Spool } from '../spool/spool.ts';
import { describe } from './outcome.ts';
import type { Relay } from './relay.ts';
import { nextAttemptMs } from './retry.ts';

/** What deferrals need of the shard's outbound side. */
export interface DeferralsOwner {
  readonly relay: Relay;
  /** Somebody is to be told: no attempt of theirs is left, or they are late. */
  tells(row: Row, recipients: readonly number[], site: string, outcome: Outcome): void;
  schedule(row: Row, dueMs: number): void;
}

const NULL_SENDER = hashOf('');

type Wave = { readonly site: string; readonly text: string; messages: number; recipients: number };

export class Deferrals {
  readonly #owner: DeferralsOwner;
  readonly #spool: Spool;
  /** Not logged yet, by site and words. */
  readonly #waves = new Map<string, Wave>();
  #marks = 0;
  #room: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;

  constructor(owner: DeferralsOwner, spool: Spool) {
    this.#owner = owner;
    this.#spool = spool;
  }

  /** What a slice yields: a promise while the journal is behind. */
  room(): Promise<void> | undefined {
    if (this.#marks < LIMITS.marksMax) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** Claimed recipients at rest; they are claimed no longer, but for those that end. */
  defer(row: Row, recipients: readonly number[], site: string, failure: Failure): void {
    const { index } = this.#spool;
    const { relay } = this.#owner;
    const nowMs = wallMs();
    const { permanent, code, enhanced, text } = failure;
    const outcome: Outcome = { tag: permanent ? 'failed' : 'deferred', code, enhanced, text };
    const detail = describe(outcome);
    const changes: Change[] = [];
    const told: number[] = [];
    const lateMs = this.#lateMs(row);
    let dueMs = Number.POSITIVE_INFINITY;
    for (const recipient of recipients) {
      const before = index.state(row, recipient);
      if (before.tag !== 'waiting') {
        index.unclaim(row, recipient); // lost meanwhile
        continue;
      }
      const attempts = before.attempts + 1;
      const nextMs = nextAttemptMs(attempts, index.acceptedMs(row), nowMs, randomFraction(), relay.config);
      const { warned } = before;
      if (permanent || nextMs === null || (!warned && nowMs >= lateMs)) told.push(recipient);
      else {
        const againMs = warned ? nextMs : Math.min(nextMs, lateMs);
        changes.push({ recipient, state: { tag: 'waiting', attempts, nextMs: againMs, site, detail, warned } });
        dueMs = Math.min(dueMs, againMs);
      }
    }
    if (told.length > 0) this.#owner.tells(row, told, site, outcome);
    if (changes.length === 0) return;
    this.#mark(row, changes);
    for (const { recipient } of changes) index.unclaim(row, recipient);
    this.#owner.schedule(row, dueMs);
    relay.metrics.count('recipients_deferred', changes.length);
    this.#note(site, detail, changes.length);
  }

  /** When a warning may be due; settlement.ts knows whether anybody wants it. */
  #lateMs(row: Row): number {
    const { index } = this.#spool;
    const { delayWarningSeconds } = this.#owner.relay.config;
    if (delayWarningSeconds === 0 || index.senderHash(row) === NULL_SENDER) return Number.POSITIVE_INFINITY;
    return index.acceptedMs(row) + delayWarningSeconds * 1000;
  }

  /** One line for each wave since the last call. */
  log(): void {
    for (const { site, text, messages, recipients } of this.#waves.values()) {
      this.#owner.relay.logger.log('deferred', { site, messages, recipients, text });
    }
    this.#waves.clear();
  }

  #note(site: string, text: string, recipients: number): void {
    const key = `${site} ${text}`;
    const wave = this.#waves.get(key);
    if (wave === undefined) this.#waves.set(key, { site, text, messages: 1, recipients });
    else {
      wave.messages++;
      wave.recipients += recipients;
    }
  }

  async #mark(row: Row, changes: readonly Change[]): Promise<void> {
    this.#marks++;
    await this.#owner.relay.record(row, changes);
    this.#marks--;
    if (this.#marks > LIMITS.marksMax / 2) return;
    this.#room?.resolve();
    this.#room = null;
  }
}
