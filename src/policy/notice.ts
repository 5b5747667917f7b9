/**
 * Who is told what became of a recipient? Pure, and the whole of RFC 3461 §5.2 that concerns a relay:
 *
 *   NOTIFY                              absent    NEVER   with SUCCESS   with FAILURE   with DELAY
 *   kept       final delivery (LMTP)    –         –       delivered      –              –
 *   reported   the next hop knows DSN   –         –       –              –              –            it was told NOTIFY
 *   silent     the next hop does not    –         –       relayed        –              –
 *   failed     refused, or too old      failed    –       –              failed         –
 *   late       waits for hours          delayed   –       –              –              delayed
 *
 * The null sender is told nothing, whatever NOTIFY says (RFC 3461 §5.2, RFC 5321 §6.1). Its failure is a double bounce:
 * the postmaster's, or a log line. A double bounce that fails is a log line always: there is no third one. Postern
 * expands no alias, so no recipient is ever `expanded`.
 */
import type { DsnKind } from '../message/dsn_report.ts';
import type { Envelope, Notify } from '../message/envelope.ts';

/** What a next hop that took a recipient means by its 250: it is in the mailbox, it will report, or nobody will. */
export type Handover = 'kept' | 'reported' | 'silent';

/** RFC 2033 §4.2: an LMTP server's 250 is the delivery itself, unless it offers DSN and so takes on the reporting. */
export function handoverTo(dsn: boolean, lmtp: boolean): Handover {
  if (dsn) return 'reported';
  return lmtp ? 'kept' : 'silent';
}

/** `late`: it waits longer than the delay warning's time, and its sender was not warned. */
export type Happening = Handover | 'failed' | 'late';

export type NoticeFacts = {
  readonly notify: Notify | undefined;
  /** The null sender, or one whose mail comes back to us. */
  readonly nobody: boolean;
  /** The postmaster cannot be told either: it is his address that failed, or a double bounce on its way to him. */
  readonly lastResort: boolean;
};

export type NoticeRules = {
  readonly doubleBounces: 'drop' | 'postmaster';
  /** 0: no warning. */
  readonly delayWarningSeconds: number;
};

/** Why nobody is told of a failure. */
export type Unreported = 'not-wanted' | 'null-sender' | 'double-bounce';

export type Due =
  | { readonly tag: 'none' }
  | { readonly tag: 'notice'; readonly kind: DsnKind; readonly to: 'sender' | 'postmaster' }
  | { readonly tag: 'unreported'; readonly why: Unreported };

const NONE: Due = { tag: 'none' };
const DOUBLE: Due = { tag: 'notice', kind: 'failed', to: 'postmaster' };
const unreported = (why: Unreported): Due => ({ tag: 'unreported', why });
const toSender = (kind: DsnKind): Due => ({ tag: 'notice', kind, to: 'sender' });

export function noticeDue(happening: Happening, facts: NoticeFacts, rules: NoticeRules): Due {
  const { notify, nobody, lastResort } = facts;
  switch (happening) {
    case 'kept':
      return !nobody && asksFor(notify, 'success') ? toSender('delivered') : NONE;
    case 'silent':
      return !nobody && asksFor(notify, 'success') ? toSender('relayed') : NONE;
    case 'reported':
      return NONE;
    case 'late':
      return mayWarn(facts) ? toSender('delayed') : NONE;
    case 'failed':
      if (nobody && lastResort) return unreported('double-bounce');
      if (nobody) return rules.doubleBounces === 'postmaster' ? DOUBLE : unreported('null-sender');
      // RFC 3461 §5.2.6: the postmaster may be told where the sender is not; who asked for silence gets it.
      return notify === undefined || asksFor(notify, 'failure') ? toSender('failed') : unreported('not-wanted');
  }
}

/**
 * From when on a recipient is late, in milliseconds since 1970; Infinity: never. RFC 3461 §4.1 reads an absent NOTIFY
 * as FAILURE or as FAILURE,DELAY: we take the second, for who waits in vain should know.
 */
export function lateFromMs(acceptedMs: number, facts: NoticeFacts, rules: NoticeRules): number {
  if (rules.delayWarningSeconds === 0 || !mayWarn(facts)) return Number.POSITIVE_INFINITY;
  return acceptedMs + rules.delayWarningSeconds * 1000;
}

const mayWarn = ({ notify, nobody }: NoticeFacts): boolean =>
  !nobody && (notify === undefined || asksFor(notify, 'delay'));

const asksFor = (notify: Notify | undefined, what: 'success' | 'failure' | 'delay'): boolean =>
  notify !== undefined && notify !== 'never' && notify.includes(what);

/**
 * Stands before the id in the ENVID of a double bounce (RFC 3461 §6.1 lets a notification have one), so that it is
 * known as such after a restart with another postmaster, too.
 */
const DOUBLE_BOUNCE = 'double-bounce-';

export const doubleBounceEnvid = (id: string): string => `${DOUBLE_BOUNCE}${id}`;

/** Only what we wrote ourselves: a stranger's ENVID is no proof. */
const isDoubleBounce = ({ origin, envid }: Envelope): boolean =>
  origin === 'local' && envid?.startsWith(DOUBLE_BOUNCE) === true;

/** The names that notifications of ours carry. */
export type Ours = { readonly hostname: string; readonly postmaster: string };

export const daemonAt = (hostname: string): string => `MAILER-DAEMON@${hostname}`;

export function noticeFacts(envelope: Envelope, recipient: number, ours: Ours): NoticeFacts {
  const { address, notify } = envelope.recipients[recipient]!;
  const { sender } = envelope;
  // Answers to our notifications, and mail that pretends to be one: what we write to it would come back to us.
  const nobody = sender === '' || sender.toLowerCase() === daemonAt(ours.hostname).toLowerCase();
  return { notify, nobody, lastResort: nobody && (isDoubleBounce(envelope) || isSame(address, ours.postmaster)) };
}

const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
