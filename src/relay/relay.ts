/**
 * What every room of a shard's relay shares: its configuration as the rooms want it, its tools, and the few things
 * that concern all of them (draining, a broken journal, the log lines that join by id).
 */
import type { SecureContext } from 'node:tls';
import { monotonicMs } from '../base/clock.ts';
import type { NextId } from '../base/ids.ts';
import type { Config } from '../config/options.ts';
import type { Asked } from '../facts/gather.ts';
import { PiecePools } from '../filters/content_pieces.ts';
import type { Envelope, Recipient, Side } from '../message/envelope.ts';
import type { CloseReason, Deadlines } from '../net/connection.ts';
import type { ContentRules } from '../policy/content.ts';
import type { LocalDomains } from '../policy/recipient.ts';
import type { Scanner } from '../scanner/scanner.ts';
import type { Outcome } from '../smtp/client.ts';
import type { ReplyKey } from '../smtp/replies.ts';
import { codeOf } from '../smtp/replies.ts';
import type { Settings } from '../smtp/session.ts';
import type { Change, Row, Spool, Stored } from '../spool/spool.ts';
import { SpoolFailure } from '../spool/spool.ts';
import type { Logger } from '../telemetry/log.ts';
import type { CounterId, Metrics } from '../telemetry/metrics.ts';
import type { Refused } from './because.ts';
import type { Caller } from './front_door.ts';
import { FrontDoor, loggedCaller } from './front_door.ts';
import type { Origin } from './inbound.ts';
import type { Outbound, Peer } from './outbound.ts';
import type { Policy } from './policy.ts';
import type { PressureWord } from './pressure_word.ts';

const ENDED = {
  'peer-closed': 'sessions_ended_peer_closed',
  error: 'sessions_ended_error',
  'tls-failed': 'sessions_ended_tls_failed',
  finished: 'sessions_ended_finished',
  destroyed: 'sessions_ended_destroyed',
} as const satisfies Record<CloseReason, CounterId>;

/** By the name of the source. */
const TROUBLES: Readonly<Record<string, CounterId>> = {
  'reverse-name': 'trouble_reverse_name',
  'dns-lists': 'trouble_dns_lists',
  'dns-lists-helo': 'trouble_dns_lists_helo',
  'dns-lists-sender': 'trouble_dns_lists_sender',
  helo: 'trouble_helo',
  geoip: 'trouble_geoip',
  'recipients-hashes': 'trouble_recipients_hashes',
  'recipients-ldap': 'trouble_recipients_ldap',
  'recipients-http': 'trouble_recipients_http',
  'recipients-callout': 'trouble_recipients_callout',
};

/** A session, or what becomes one. */
export interface Visit {
  /** Ends it at the next moment that costs the client nothing. */
  drain(): void;
  destroy(): void;
}

export type RelayTools = {
  readonly config: Config;
  readonly spool: Spool;
  readonly policy: Policy;
  readonly scanner: Scanner;
  readonly deadlines: Deadlines;
  readonly pressure: Pick<PressureWord, 'deferral'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly nextId: NextId;
  readonly onSessionClosed: (place: number) => void;
  readonly onBroken: (detail: string) => void;
};

export class Relay {
  readonly config: Config;
  readonly spool: Spool;
  readonly scanner: Scanner;
  readonly deadlines: Deadlines;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly nextId: NextId;
  readonly local: LocalDomains;
  readonly contentRules: ContentRules;
  readonly frontDoor: FrontDoor;
  readonly filterPieces = new PiecePools();
  readonly sessions = new Set<Visit>();
  /** Set once, right after construction: the two halves know each other. */
  outbound!: Outbound;
  settings: Readonly<Record<Side, Settings>>;
  /** Replaced as a whole when the file is read again. */
  policy: Policy;
  #contexts: Readonly<Record<Side, SecureContext>> | null = null;
  readonly #tools: RelayTools;
  #draining = false;
  #broken = false;
  #noSession: (() => void) | null = null;

  constructor(tools: RelayTools) {
    this.#tools = tools;
    this.config = tools.config;
    this.spool = tools.spool;
    this.policy = tools.policy;
    this.scanner = tools.scanner;
    this.deadlines = tools.deadlines;
    this.metrics = tools.metrics;
    this.logger = tools.logger;
    this.nextId = tools.nextId;
    this.local = { domains: new Set(this.config.domains), subdomains: this.config.subdomains };
    this.contentRules = this.config;
    this.frontDoor = new FrontDoor(this.config);
    this.settings = { outside: this.#settingsOf('outside', false), inside: this.#settingsOf('inside', false) };
  }

  #settingsOf(side: Side, startTls: boolean): Settings {
    const { hostname, messageBytesMax, recipientsMax, badCommandsMax, unknownRecipientsMax, idleCommandsMax } =
      this.config;
    const messagesMax = this.config.sessionMessagesMax;
    return {
      side,
      hostname,
      messageBytesMax,
      recipientsMax,
      messagesMax,
      badCommandsMax,
      unknownRecipientsMax,
      idleCommandsMax,
      startTls,
    };
  }

  /** From now on STARTTLS is offered with these; sessions that have begun theirs keep what they have. */
  useTls(contexts: Readonly<Record<Side, SecureContext>>): void {
    this.#contexts = contexts;
    this.settings = { outside: this.#settingsOf('outside', true), inside: this.#settingsOf('inside', true) };
  }

  tlsContext(side: Side): SecureContext {
    return this.#contexts![side];
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Ends idle sessions, lets open transactions finish; resolves when none is left. */
  async drainSessions(): Promise<void> {
    this.#draining = true;
    for (const session of [...this.sessions]) session.drain();
    if (this.sessions.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#noSession = resolve;
    });
  }

  sessionClosed(visit: Visit, caller: Pick<Caller, 'place' | 'countedKey'>, reason: CloseReason): void {
    this.metrics.count(ENDED[reason]);
    this.sessions.delete(visit);
    this.frontDoor.left(caller, monotonicMs());
    this.#tools.onSessionClosed(caller.place);
    if (this.sessions.size === 0) this.#noSession?.();
  }

  /**
   * A failed sync is final (architecture §3.5): no transaction begins any more, and the gate is told. Deliveries under
   * way finish, but none begins: their marks could not be kept, and a restart would deliver all of them again.
   */
  broken(detail: string): void {
    if (this.#broken) return;
    this.#broken = true;
    this.logger.log('spool-broken', { detail });
    this.#tools.onBroken(detail);
    void this.outbound.drain();
  }

  /** A mark that is lost means, after a restart, one more delivery (architecture §3.6). Never rejects. */
  async record(row: Row, changes: readonly Change[]): Promise<void> {
    try {
      await this.spool.mark(row, changes);
    } catch (error) {
      this.spoolFailed(error);
    }
  }

  /** Anything but a failure of the spool is a bug of ours, and goes on. */
  spoolFailed(error: unknown): SpoolFailure['reason'] {
    if (!(error instanceof SpoolFailure)) throw error;
    if (error.reason === 'broken') this.broken(error.message);
    return error.reason;
  }

  /** Why no transaction of this side may begin now, or null. What has begun may finish. */
  unavailable(side: Side): ReplyKey | null {
    if (this.#draining) return 'shuttingDown';
    if (this.#broken) return 'shardBroken';
    return this.#tools.pressure.deferral(side)?.transaction ?? null;
  }

  /** `<Postmaster>` without a domain is the postmaster of our first one (RFC 5321 §4.5.1). */
  completed(recipients: readonly Recipient[]): readonly Recipient[] {
    if (recipients.every((recipient) => recipient.address.includes('@'))) return recipients;
    return recipients.map((recipient) =>
      recipient.address.includes('@') ? recipient : { ...recipient, address: this.config.postmaster },
    );
  }

  /** Somebody who was asked for facts could not tell. */
  trouble(session: string, { source, trouble, ms }: Asked): void {
    this.metrics.count(TROUBLES[source] ?? 'trouble_other');
    this.logger.log('source-trouble', { session, source, detail: trouble, ms: Math.round(ms) });
  }

  /** By policy, limit or grammar; its key is stable. */
  refused(session: string, caller: Caller, refused: Refused): void {
    const { key, detail = '', because } = refused;
    this.metrics.refused(key);
    if (key === 'relayDenied' || key === 'unknownRecipient' || key === 'policyUnknown')
      this.metrics.count('recipients_refused');
    this.logger.log('refused', {
      session,
      ...loggedCaller(caller),
      code: codeOf(refused),
      reason: key,
      ...(detail === '' ? {} : { detail }),
      ...because,
    });
  }

  logAccepted(origin: Origin, envelope: Envelope, ms: number): void {
    this.metrics.count(origin.side === 'outside' ? 'messages_accepted_outside' : 'messages_accepted_inside');
    this.metrics.count('bytes_accepted', envelope.content.bytes);
    this.metrics.observe('commit_seconds', ms / 1000);
    this.logger.log('accepted', {
      id: envelope.id,
      session: origin.session,
      side: origin.side,
      client: origin.via.address,
      from: envelope.sender,
      to: envelope.recipients.length === 1 ? envelope.recipients[0]!.address : '',
      recipients: envelope.recipients.length,
      bytes: envelope.content.bytes,
      ms: Math.round(ms * 10) / 10,
    });
  }

  /** One line per attempt: how many went which way, and the words of the first that did not go well. */
  logAttempt(
    message: Stored,
    site: string,
    recipients: readonly number[],
    outcomes: readonly Outcome[],
    peer: Peer,
    ms: number,
  ): void {
    const tally = { delivered: 0, deferred: 0, failed: 0, again: 0 };
    for (const outcome of outcomes) tally[outcome.tag]++;
    const shown = outcomes.find((outcome) => outcome.tag !== 'delivered') ?? outcomes[0];
    const { delivered, deferred, failed } = tally;
    if (delivered > 0) {
      this.metrics.count('recipients_delivered', delivered);
      this.metrics.observe('delivery_seconds', ms / 1000);
    }
    if (deferred > 0) this.metrics.count('recipients_deferred', deferred);
    if (failed > 0) this.metrics.count('recipients_failed', failed);
    const most = delivered > 0 ? 'delivered' : failed > deferred ? 'failed' : 'deferred';
    this.metrics.count(`attempts_${site.startsWith('inside') ? 'inside' : 'outside'}_${most}`);
    const first = recipients[0];
    this.logger.log('delivery', {
      id: message.envelope.id,
      site,
      host: peer.host,
      address: peer.address,
      tls: peer.tls,
      to: recipients.length === 1 && first !== undefined ? message.envelope.recipients[first]!.address : '',
      recipients: recipients.length,
      delivered,
      deferred,
      failed,
      code: shown?.code ?? 0,
      enhanced: shown?.enhanced ?? '',
      text: shown?.text ?? '',
      ms: Math.round(ms * 10) / 10,
    });
  }
}
