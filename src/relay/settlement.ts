/**
 * What follows from an attempt, pure: outcomes in, and out come the marks for the journal, the times of the next
 * attempts, and who is to be told what (policy/notice.ts).
 *
 *   delivered ─┬──────────────────────────► changes       failed, or deferred beyond its time ─┬─► notices, then failed
 *              └─► notices, then delivered                                                     └─► unreported + changes
 *   deferred  ───► changes + retryMs, once with a notice that it is late
 *
 * A change that waits for its notice stands in the notice: a crash between the two tells twice, never not at all. The
 * warning goes the other way, for it must come once and may come not at all: its change is marked at once.
 */
import { LIMITS } from '../config/limits.ts';
import type { DsnKind } from '../message/dsn_report.ts';
import type { Envelope } from '../message/envelope.ts';
import type { Due, Handover, NoticeFacts, NoticeRules, Ours, Unreported } from '../policy/notice.ts';
import { lateFromMs, noticeDue, noticeFacts } from '../policy/notice.ts';
import type { Outcome } from '../smtp/client.ts';
import type { Change, RecipientState } from '../spool/spool.ts';
import { describe } from './outcome.ts';
import type { RetryRules } from './retry.ts';
import { nextAttemptMs } from './retry.ts';

export type Attempt = {
  readonly site: string;
  /** Indices in the envelope, and what became of each. */
  readonly recipients: readonly number[];
  readonly outcomes: readonly Outcome[];
  /** The server that answered; its host is '' where none was reached. */
  readonly peer: { readonly host: string; readonly handover: Handover };
  readonly nowMs: number;
  /** In [0, 1). One for all: recipients that wait for the same site go there together again. */
  readonly chance: number;
};

export type SettlementRules = RetryRules & NoticeRules & Ours;

export type NoticedRecipient = {
  /** Index in the envelope. */
  readonly recipient: number;
  readonly outcome: Outcome;
  /** It was deferred until its time was over. */
  readonly expired: boolean;
};

/** One notification. */
export type Notice = {
  readonly kind: DsnKind;
  readonly to: 'sender' | 'postmaster';
  /** The host that said so, '' when none was reached. */
  readonly host: string;
  readonly attemptMs: number;
  /** For `delayed`: when it will be given up. */
  readonly untilMs: number;
  readonly recipients: readonly NoticedRecipient[];
  /** To be marked as soon as the notification is durable. */
  readonly changes: readonly Change[];
};

export type Settlement = {
  /** To be marked now. */
  readonly changes: readonly Change[];
  readonly notices: readonly Notice[];
  /** Failures that nobody is told of, by reason; they are in `changes`. */
  readonly unreported: ReadonlyMap<Unreported, readonly number[]>;
  /** When who waits is tried again, milliseconds since 1970. */
  readonly retryMs: ReadonlySet<number>;
  readonly delivered: number;
  readonly expired: number;
};

const DELIVERED: RecipientState = { tag: 'delivered' };
const FAILED: RecipientState = { tag: 'failed' };
const ALL_TOLD: Settlement['unreported'] = new Map();
const NEVER: Settlement['retryMs'] = new Set();

/** `again` is the connection's business and changes nothing here; nor does a late answer about a final recipient. */
export function settle(
  envelope: Envelope,
  stateOf: (recipient: number) => RecipientState,
  attempt: Attempt,
  rules: SettlementRules,
): Settlement {
  const draft = new SettlementDraft(envelope, attempt, rules);
  attempt.recipients.forEach((recipient, at) => {
    const outcome = attempt.outcomes[at]!;
    const before = stateOf(recipient);
    if (outcome.tag === 'again' || before.tag !== 'waiting') return;
    if (outcome.tag === 'delivered') draft.delivered(recipient, outcome);
    else if (outcome.tag === 'failed') draft.failed(recipient, outcome, false);
    else draft.deferred(recipient, outcome, before);
  });
  return draft.settlement;
}

type Waiting = Extract<RecipientState, { tag: 'waiting' }>;
type NoticeDraft = { -readonly [Key in keyof Notice]: Notice[Key] } & {
  recipients: NoticedRecipient[];
  changes: Change[];
};

class SettlementDraft {
  readonly #envelope: Envelope;
  readonly #attempt: Attempt;
  readonly #rules: SettlementRules;
  readonly #changes: Change[] = [];
  readonly #notices: NoticeDraft[] = [];
  /** Made for the first: nearly all mail is delivered, and has neither. */
  #unreported: Map<Unreported, number[]> | null = null;
  #retryMs: Set<number> | null = null;
  #delivered = 0;
  #expired = 0;

  constructor(envelope: Envelope, attempt: Attempt, rules: SettlementRules) {
    this.#envelope = envelope;
    this.#attempt = attempt;
    this.#rules = rules;
  }

  get settlement(): Settlement {
    return {
      changes: this.#changes,
      notices: this.#notices,
      unreported: this.#unreported ?? ALL_TOLD,
      retryMs: this.#retryMs ?? NEVER,
      delivered: this.#delivered,
      expired: this.#expired,
    };
  }

  delivered(recipient: number, outcome: Outcome): void {
    this.#delivered++;
    const change: Change = { recipient, state: DELIVERED };
    // Nearly all mail: nobody asked.
    if (this.#envelope.recipients[recipient]!.notify === undefined) this.#changes.push(change);
    else {
      const due = noticeDue(this.#attempt.peer.handover, this.#facts(recipient), this.#rules);
      this.#tell(due, { recipient, outcome, expired: false }, change);
    }
  }

  failed(recipient: number, outcome: Outcome, expired: boolean): void {
    const due = noticeDue('failed', this.#facts(recipient), this.#rules);
    this.#tell(due, { recipient, outcome, expired }, { recipient, state: FAILED });
  }

  deferred(recipient: number, outcome: Outcome, before: Waiting): void {
    const { nowMs, chance, site } = this.#attempt;
    const { acceptedMs } = this.#envelope;
    const attempts = before.attempts + 1;
    const wantedMs = nextAttemptMs(attempts, acceptedMs, nowMs, chance, this.#rules);
    if (wantedMs === null) {
      this.#expired++;
      this.failed(recipient, outcome, true);
      return;
    }
    const facts = this.#facts(recipient);
    const lateMs = before.warned ? Number.POSITIVE_INFINITY : lateFromMs(acceptedMs, facts, this.#rules);
    const late = nowMs >= lateMs;
    // Waits grow to hours. An attempt at the very time of the warning makes it come then, and it may yet be needless.
    const nextMs = late ? wantedMs : Math.min(wantedMs, lateMs);
    const warned = before.warned || late;
    this.#changes.push({
      recipient,
      state: { tag: 'waiting', attempts, nextMs, site, detail: describe(outcome), warned },
    });
    if (late) this.#tell(noticeDue('late', facts, this.#rules), { recipient, outcome, expired: false }, null);
    this.#retryMs ??= new Set();
    this.#retryMs.add(nextMs);
  }

  #facts(recipient: number): NoticeFacts {
    return noticeFacts(this.#envelope, recipient, this.#rules);
  }

  /** `change` follows the notice, or comes at once where there is none. */
  #tell(due: Due, noticed: NoticedRecipient, change: Change | null): void {
    if (due.tag === 'notice') {
      const notice = this.#noticeFor(due.kind, due.to);
      notice.recipients.push(noticed);
      if (change !== null) notice.changes.push(change);
      return;
    }
    if (due.tag === 'unreported') {
      this.#unreported ??= new Map();
      const alike = this.#unreported.get(due.why);
      if (alike === undefined) this.#unreported.set(due.why, [noticed.recipient]);
      else alike.push(noticed.recipient);
    }
    if (change !== null) this.#changes.push(change);
  }

  #noticeFor(kind: DsnKind, to: Notice['to']): NoticeDraft {
    const last = this.#notices.findLast((each) => each.kind === kind && each.to === to);
    if (last !== undefined && last.recipients.length < LIMITS.noticeRecipientsMax) return last;
    const { peer, nowMs } = this.#attempt;
    const untilMs = this.#envelope.acceptedMs + this.#rules.queueSecondsMax * 1000;
    const notice: NoticeDraft = {
      kind,
      to,
      host: peer.host,
      attemptMs: nowMs,
      untilMs,
      recipients: [],
      changes: [],
    };
    this.#notices.push(notice);
    return notice;
  }
}
