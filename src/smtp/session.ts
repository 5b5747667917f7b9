/**
 * The server side of one SMTP session: what a command may do now, and what is answered. No socket, no disk, no clock.
 *
 *   new ──EHLO, HELO──► ready ──MAIL──► open ──DATA──────────────────► content ──end of data──► ready
 *    ▲                   ▲ │            │ ▲ └──BDAT──► chunks ──BDAT LAST, its octets read────► ready
 *    └────STARTTLS───────┼─┘           RCPT              │ ▲
 *                        │                               BDAT
 *                        └─ RSET, EHLO, HELO, a refused BDAT, from open and chunks
 *   XCLIENT, from new and ready: new, for another client
 *
 * Each command goes through three steps: `refusal` (order and limits; nothing changes), the policy of the caller, then
 * `perform`, or `refuse` with the reply of who said no. So a refused command leaves the session as it was, but for its
 * budgets (RFC 5321 §4.1.4). The exception is BDAT: part of the message is lost, so the transaction is (RFC 3030 §2).
 *
 * Costs: every call is O(1); a session without a transaction is two small objects, some 150 bytes.
 */
import { AssertionFailure, assert, unreachable } from '../base/assert.ts';
import type { Recipient, Side } from '../message/envelope.ts';
import type { Command, MailCommand, RcptCommand } from './command.ts';
import { ehloReply } from './ehlo.ts';
import type { Refusal, ReplyKey } from './replies.ts';
import { codeOf, replyLine } from './replies.ts';
import type { Announcement } from './xclient.ts';

/** Never changed: the EHLO replies of a Settings are printed once. */
export type Settings = {
  readonly side: Side;
  readonly hostname: string;
  readonly messageBytesMax: number;
  readonly recipientsMax: number;
  /** Transactions in one session (RFC 9422 §4.1). */
  readonly messagesMax: number;
  /** A certificate is there. */
  readonly startTls: boolean;
  readonly badCommandsMax: number;
  readonly unknownRecipientsMax: number;
  /** Commands that do no work (RSET, NOOP, HELP, VRFY, EHLO, an empty BDAT) since the last message. */
  readonly idleCommandsMax: number;
};

export type Hello = { readonly verb: 'HELO' | 'EHLO'; readonly client: string };

export type Transaction = {
  readonly sender: string;
  readonly sizeBytes: number;
  readonly body: '7BIT' | '8BITMIME' | null;
  readonly smtpUtf8: boolean;
  readonly ret?: 'full' | 'headers';
  readonly envid?: string;
  /** Grows with each RCPT, never shrinks. */
  readonly recipients: readonly Recipient[];
};

type Open = Transaction & { readonly recipients: Recipient[] };

type State =
  | { readonly tag: 'new' | 'ready' }
  | { readonly tag: 'open'; readonly transaction: Open }
  /** Content by BDAT has begun: `bytes` of it, so far (RFC 3030 §2). */
  | { readonly tag: 'chunks'; readonly transaction: Open; readonly bytes: number }
  /** Content by DATA is being read; no command is before its end. */
  | { readonly tag: 'content'; readonly transaction: Open };

/** Changed by this module only. */
export type Session = {
  state: State;
  hello: Hello | null;
  /** XCLIENT may be said, until it has said an address: from then on it is that client's session. */
  mayAnnounce: boolean;
  /** What it said of HELO and protocol. */
  announced: Pick<Announcement, 'helo' | 'protocol'> | null;
  tls: boolean;
  /** The last command was refused: what a pipelining client sent on its strength is no fault (RFC 2920 §3.1). */
  afterRefusal: boolean;
  transactions: number;
  badCommands: number;
  unknownRecipients: number;
  /** Since the last message: as Settings. */
  idleCommands: number;
  /** Since the last message: 4yz, and what only follows from a refusal. One transaction's worth of them is forgiven. */
  putOffs: number;
};

export type Action = 'none' | 'read-data' | 'read-bdat' | 'start-tls' | 'announce' | 'close';
/** `reply` is wire text, '' where the answer comes later (the end of a BDAT chunk). */
export type Answer = { readonly reply: string; readonly action: Action };

const NEW: State = { tag: 'new' };
const READY: State = { tag: 'ready' };

/** `mayAnnounce`: the peer is one of those that may speak for others. */
export function newSession(mayAnnounce = false): Session {
  return {
    state: NEW,
    hello: null,
    mayAnnounce,
    announced: null,
    tls: false,
    afterRefusal: false,
    transactions: 0,
    badCommands: 0,
    unknownRecipients: 0,
    idleCommands: 0,
    putOffs: 0,
  };
}

export const banner = (settings: Settings): string => replyLine('banner', settings.hostname);

/** What the client called itself: what a peer that speaks for it says of that goes before the peer's own EHLO. */
export function helloOf({ hello, announced }: Session): Hello | null {
  if (announced === null) return hello;
  const client = announced.helo ?? hello?.client;
  if (client === undefined) return null;
  const { protocol = hello?.verb === 'HELO' ? 'SMTP' : 'ESMTP' } = announced;
  return { verb: protocol === 'SMTP' ? 'HELO' : 'EHLO', client };
}

/** The open transaction, or null. */
export function transactionOf({ state }: Session): Transaction | null {
  return 'transaction' in state ? state.transaction : null;
}

/** Order and limits: the reply that refuses, or null. Changes nothing. */
export function refusal(session: Session, command: Command, settings: Settings): ReplyKey | null {
  const { state } = session;
  assert(state.tag !== 'content', 'no command is read within content');
  switch (command.verb) {
    case 'MAIL':
      return refusalOfMail(session, command, settings);
    case 'RCPT':
      return refusalOfRcpt(session, command, settings);
    case 'DATA':
      if (state.tag === 'chunks') return 'chunksBegun'; // RFC 3030 §2
      if (state.tag !== 'open') return outOfOrder(state);
      return state.transaction.recipients.length === 0 ? 'noRecipients' : null;
    case 'BDAT': {
      if (state.tag !== 'open' && state.tag !== 'chunks') return outOfOrder(state);
      if (state.transaction.recipients.length === 0) return 'recipientFirst';
      return bytesWith(state, command.bytes) > settings.messageBytesMax ? 'tooLarge' : null; // RFC 1870 §6.3
    }
    case 'STARTTLS':
      if (session.tls) return 'tlsAlready';
      if (!settings.startTls) return 'tlsUnavailable';
      return state.tag === 'open' || state.tag === 'chunks' ? 'nestedMail' : null;
    case 'XCLIENT':
      if (!session.mayAnnounce) return 'unknownCommand';
      if (state.tag === 'open' || state.tag === 'chunks') return 'nestedMail';
      return command.said === null ? 'badArgument' : null;
    case 'EXPN':
      return 'notImplemented'; // RFC 5321 §3.5.2, §7.3 let us
    default:
      return null; // any time (RFC 5321 §4.1.4)
  }
}

function refusalOfMail(session: Session, command: MailCommand, settings: Settings): ReplyKey | null {
  if (session.state.tag === 'new') return 'helloFirst';
  if (session.state.tag !== 'ready') return 'nestedMail';
  if (command.extended && session.hello?.verb === 'HELO') return 'unknownParameter'; // RFC 5321 §4.1.1.11
  if (command.sizeBytes > settings.messageBytesMax) return 'tooLarge'; // RFC 1870 §6.1
  return session.transactions >= settings.messagesMax ? 'tooManyMessages' : null;
}

function refusalOfRcpt({ state, hello }: Session, command: RcptCommand, settings: Settings): ReplyKey | null {
  if (state.tag === 'chunks') return 'chunksBegun';
  if (state.tag !== 'open') return outOfOrder(state);
  if (command.extended && hello?.verb === 'HELO') return 'unknownParameter';
  if (command.international && !state.transaction.smtpUtf8) return 'recipientNeedsSmtpUtf8';
  return state.transaction.recipients.length >= settings.recipientsMax ? 'recipientsFull' : null;
}

const outOfOrder = (state: State): ReplyKey => (state.tag === 'new' ? 'helloFirst' : 'mailFirst');

const bytesWith = (state: State, bytes: number): number => (state.tag === 'chunks' ? state.bytes : 0) + bytes;

/** Performs a command that nobody refuses. */
export function perform(session: Session, command: Command, settings: Settings): Answer {
  const { state } = session;
  session.afterRefusal = false;
  switch (command.verb) {
    case 'EHLO':
    case 'HELO':
      session.hello = { verb: command.verb, client: command.client };
      session.state = READY; // RFC 5321 §4.1.4: like RSET
      if (command.verb === 'HELO') return idle(session, settings, replyLine('hello', settings.hostname));
      return idle(session, settings, ehloReply(settings, session.tls, session.mayAnnounce));
    case 'MAIL':
      assert(state.tag === 'ready', 'refusal() let MAIL pass');
      session.state = { tag: 'open', transaction: opened(command) };
      session.transactions++;
      return SENDER_OK;
    case 'RCPT':
      assert(state.tag === 'open', 'refusal() let RCPT pass');
      state.transaction.recipients.push(command.recipient);
      return RECIPIENT_OK;
    case 'DATA':
      assert(state.tag === 'open', 'refusal() let DATA pass');
      session.state = { tag: 'content', transaction: state.transaction };
      return { reply: replyLine('goAhead'), action: 'read-data' };
    case 'BDAT':
      return performBdat(session, command.bytes, command.last, settings);
    case 'RSET':
      if (state.tag !== 'new') session.state = READY;
      return idle(session, settings, replyLine('ok'));
    case 'NOOP':
      return idle(session, settings, replyLine('ok'));
    case 'HELP':
      return idle(session, settings, replyLine('help'));
    case 'VRFY':
      return idle(session, settings, replyLine('cannotVerify'));
    case 'STARTTLS':
      return { reply: replyLine('startTls'), action: 'start-tls' };
    case 'XCLIENT':
      return performXclient(session, command.said, settings);
    case 'QUIT':
      return { reply: replyLine('bye', settings.hostname), action: 'close' };
    case 'EXPN':
      throw new AssertionFailure('refusal() refuses EXPN');
    default:
      return unreachable(command);
  }
}

const say = (key: ReplyKey): Answer => ({ reply: replyLine(key), action: 'none' });
const SENDER_OK = say('senderOk');
const RECIPIENT_OK = say('recipientOk');

function opened({ sender, sizeBytes, body, smtpUtf8, ret, envid }: MailCommand): Open {
  return {
    sender,
    sizeBytes,
    body,
    smtpUtf8,
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
    recipients: [],
  };
}

function performBdat(session: Session, bytes: number, last: boolean, settings: Settings): Answer {
  const { state } = session;
  assert(state.tag === 'open' || state.tag === 'chunks', 'refusal() let BDAT pass');
  session.state = { tag: 'chunks', transaction: state.transaction, bytes: bytesWith(state, bytes) };
  const answer: Answer = { reply: '', action: 'read-bdat' };
  if (bytes > 0 || last) return answer;
  const warned = idle(session, settings, ''); // `BDAT 0` brings the message no further
  return warned.action === 'close' ? warned : answer;
}

/** The session is as it was before EHLO, and the caller greets anew. */
function performXclient(session: Session, said: Announcement | null, settings: Settings): Answer {
  assert(said !== null, 'refusal() let XCLIENT pass');
  const { helo, protocol, address } = said;
  session.state = NEW;
  session.hello = null;
  session.announced = {
    ...session.announced,
    ...(helo === undefined ? {} : { helo }),
    ...(protocol === undefined ? {} : { protocol }),
  };
  if (address !== undefined) session.mayAnnounce = false;
  const spent = idle(session, settings, '');
  return spent.action === 'close' ? spent : { reply: '', action: 'announce' };
}

/** Commands without work have a budget, so that a session cannot be held open for nothing. */
function idle(session: Session, settings: Settings, reply: string): Answer {
  session.idleCommands++;
  if (session.idleCommands <= settings.idleCommandsMax) return { reply, action: 'none' };
  return { reply: replyLine('tooManyIdle', settings.hostname), action: 'close' };
}

/** What a pipelining client gets for the rest of its group when MAIL, or each RCPT, has been refused. */
const FOLLOWING: ReadonlySet<ReplyKey> = new Set<ReplyKey>(['mailFirst', 'noRecipients', 'recipientFirst']);
const ABOUT_RECIPIENTS: ReadonlySet<ReplyKey> = new Set<ReplyKey>(['relayDenied', 'unknownRecipient', 'policyUnknown']);

/**
 * Somebody said no: `refusal`, the parser, or policy. Counts it; a spent budget ends the session with 421. A refused
 * BDAT ends the transaction, whether its line could be parsed or not: say so by `bdat`.
 */
export function refuse(session: Session, refused: Refusal, settings: Settings, bdat = false): Answer {
  const { key, detail, status } = refused;
  if (bdat && session.state.tag !== 'new') session.state = READY;
  const code = codeOf(refused);
  if (code === 421) return { reply: replyLine(key, settings.hostname), action: 'close' };
  if (code < 500 || (session.afterRefusal && FOLLOWING.has(key))) session.putOffs++;
  else if (ABOUT_RECIPIENTS.has(key)) session.unknownRecipients++;
  else session.badCommands++;
  session.afterRefusal = true;
  const spent =
    session.badCommands > settings.badCommandsMax ||
    session.unknownRecipients > settings.unknownRecipientsMax ||
    session.putOffs > settings.recipientsMax;
  const reply = replyLine(key, detail, status);
  if (!spent) return { reply, action: 'none' };
  return { reply: reply + replyLine('tooManyErrors', settings.hostname), action: 'close' };
}

/** A BDAT chunk that was not the last has been read. */
export const bdatChunkDone = (bytes: number): Answer => ({
  reply: replyLine('chunkOk', String(bytes)),
  action: 'none',
});

/** The content is over, well or not: so is the transaction, whatever the outcome (RFC 5321 §4.1.1.4). */
export function endOfMessage(session: Session, outcome: { id: string } | Refusal, settings: Settings): Answer {
  assert(session.state.tag === 'content' || session.state.tag === 'chunks', 'a message ends that has begun');
  session.state = READY;
  if ('key' in outcome) return refuse(session, outcome, settings);
  session.afterRefusal = false;
  session.idleCommands = 0;
  session.putOffs = 0;
  return { reply: replyLine('queued', outcome.id), action: 'none' };
}

/** RFC 3207 §4.2: nothing that the client said in clear survives; the budgets do. */
export function tlsStarted(session: Session): void {
  session.state = NEW;
  session.hello = null;
  session.tls = true;
  session.afterRefusal = false;
}
