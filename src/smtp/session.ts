/**
 * The server side of one SMTP session: what a command may do now, and what is answered. No socket, no disk, no clock.
 *
 *   new ──EHLO/HELO──► ready ──MAIL──► open ──RCPT*──► open ──DATA, BDAT──► (content, see relay/) ──► ready
 *    ▲                   ▲              │                                        │ 250, 4yz or 5yz alike
 *    └────STARTTLS───────┼──RSET, EHLO──┘◄───────────────────────────────────────┘
 *
 * Each command goes through three steps: `refusal` (order and limits; nothing changes), the policy of the caller, then
 * `perform`, or `refuse` with the reply of who said no. So a refused command leaves the session as it was, but for the
 * counters of its budgets (RFC 5321 §4.1.4).
 */
import { assert, unreachable } from '../base/assert.ts';
import type { Recipient, Side } from '../message/envelope.ts';
import { isAscii } from './address.ts';
import type { Command } from './command.ts';
import type { ReplyKey } from './replies.ts';
import { REPLIES, replyLine } from './replies.ts';

export type Settings = {
  readonly side: Side;
  readonly hostname: string;
  readonly messageBytesMax: number;
  readonly recipientsMax: number;
  /** Messages in one session. */
  readonly messagesMax: number;
  /** A certificate is there. */
  readonly startTls: boolean;
  readonly badCommandsMax: number;
  readonly unknownRecipientsMax: number;
  /** Commands that do no work (RSET, NOOP, HELP, VRFY, EHLO) since the last message. */
  readonly idleCommandsMax: number;
};

export type Hello = { readonly verb: 'HELO' | 'EHLO'; readonly client: string };

export type Transaction = {
  readonly sender: string;
  readonly sizeBytes: number;
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
  /** Content is being read; no command is before its end. */
  | { readonly tag: 'content'; readonly transaction: Open };

/** Changed by this module only. */
export type Session = {
  state: State;
  hello: Hello | null;
  tls: boolean;
  messages: number;
  badCommands: number;
  unknownRecipients: number;
  idleCommands: number;
};

export type Action = 'none' | 'read-data' | 'read-bdat' | 'start-tls' | 'close';
/** `reply` is wire text, '' where the answer comes later (the end of a BDAT chunk). */
export type Answer = { readonly reply: string; readonly action: Action };

const NEW: State = { tag: 'new' };
const READY: State = { tag: 'ready' };

export function newSession(): Session {
  return { state: NEW, hello: null, tls: false, messages: 0, badCommands: 0, unknownRecipients: 0, idleCommands: 0 };
}

export const banner = (settings: Settings): string => replyLine('banner', settings.hostname);

export const helloOf = (session: Session): Hello | null => session.hello;

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
      if (state.tag === 'new') return 'helloFirst';
      if (state.tag !== 'ready') return 'nestedMail';
      if (command.extended && session.hello?.verb === 'HELO') return 'unknownParameter'; // RFC 5321 §4.1.1.11
      if (command.sizeBytes > settings.messageBytesMax) return 'tooLarge';
      return session.messages >= settings.messagesMax ? 'tooManyMessages' : null;
    case 'RCPT':
      if (state.tag !== 'open') return state.tag === 'chunks' ? 'nestedMail' : sequence(state);
      if (command.extended && session.hello?.verb === 'HELO') return 'unknownParameter';
      if (!state.transaction.smtpUtf8 && !isAscii(command.recipient.address)) return 'needsSmtpUtf8';
      return state.transaction.recipients.length >= settings.recipientsMax ? 'recipientsFull' : null;
    case 'DATA':
      if (state.tag === 'chunks') return 'dataAfterBdat';
      if (state.tag !== 'open') return sequence(state);
      return state.transaction.recipients.length === 0 ? 'noRecipients' : null;
    case 'BDAT': {
      if (state.tag !== 'open' && state.tag !== 'chunks') return sequence(state);
      if (state.transaction.recipients.length === 0) return 'recipientFirst';
      const bytes = (state.tag === 'chunks' ? state.bytes : 0) + command.bytes;
      return bytes > settings.messageBytesMax ? 'tooLarge' : null;
    }
    case 'STARTTLS':
      if (session.tls) return 'tlsAlready';
      if (!settings.startTls) return 'tlsUnavailable';
      return state.tag === 'open' || state.tag === 'chunks' ? 'nestedMail' : null;
    case 'EXPN':
      return 'notImplemented'; // RFC 5321 §3.5.2 lets us
    default:
      return null;
  }
}

const sequence = (state: State): ReplyKey => (state.tag === 'new' ? 'helloFirst' : 'mailFirst');

/** Performs a command that nobody refuses. */
export function perform(session: Session, command: Command, settings: Settings): Answer {
  const { state } = session;
  switch (command.verb) {
    case 'EHLO':
    case 'HELO':
      session.hello = { verb: command.verb, client: command.client };
      session.state = READY; // RFC 5321 §4.1.4: like RSET
      return idle(session, settings, command.verb === 'EHLO' ? ehloReply(session, settings) : replyLine('hello', settings.hostname));
    case 'MAIL': {
      const { verb: _verb, body: _body, extended: _extended, ...kept } = command;
      session.state = { tag: 'open', transaction: { ...kept, recipients: [] } };
      return say('senderOk');
    }
    case 'RCPT':
      assert(state.tag === 'open', 'refusal() let RCPT pass');
      state.transaction.recipients.push(command.recipient);
      return say('recipientOk');
    case 'DATA':
      assert(state.tag === 'open', 'refusal() let DATA pass');
      session.state = { tag: 'content', transaction: state.transaction };
      return { reply: replyLine('goAhead'), action: 'read-data' };
    case 'BDAT':
      assert(state.tag === 'open' || state.tag === 'chunks', 'refusal() let BDAT pass');
      session.state = {
        tag: 'chunks',
        transaction: state.transaction,
        bytes: (state.tag === 'chunks' ? state.bytes : 0) + command.bytes,
      };
      return { reply: '', action: 'read-bdat' };
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
    case 'QUIT':
      return { reply: replyLine('bye', settings.hostname), action: 'close' };
    case 'EXPN':
      throw new Error('refusal() refuses EXPN');
    default:
      return unreachable(command);
  }
}

const say = (key: ReplyKey): Answer => ({ reply: replyLine(key), action: 'none' });

/** Commands without work have a budget, so that a session cannot be held open for nothing. */
function idle(session: Session, settings: Settings, reply: string): Answer {
  session.idleCommands++;
  if (session.idleCommands <= settings.idleCommandsMax) return { reply, action: 'none' };
  return { reply: replyLine('tooManyIdle', settings.hostname), action: 'close' };
}

/**
 * Somebody said no. Counts it; a spent budget ends the session with 421. A refused BDAT ends the transaction, for part
 * of the message is missing (RFC 3030 §2): pass it as `bdat`.
 */
export function refuse(session: Session, key: ReplyKey, settings: Settings, bdat = false): Answer {
  if (bdat && session.state.tag !== 'new') session.state = READY;
  const code = REPLIES[key][0];
  if (code === 421) return { reply: replyLine(key, settings.hostname), action: 'close' };
  if (key === 'relayDenied') session.unknownRecipients++;
  else if (code >= 500) session.badCommands++;
  const spent =
    session.badCommands > settings.badCommandsMax || session.unknownRecipients > settings.unknownRecipientsMax;
  if (!spent) return say(key);
  return { reply: replyLine(key) + replyLine('tooManyErrors', settings.hostname), action: 'close' };
}

/** A BDAT chunk that was not the last has been read. */
export const bdatChunkDone = (bytes: number): Answer => ({ reply: replyLine('chunkOk', String(bytes)), action: 'none' });

/** The content is over, well or not: so is the transaction, whatever the outcome (RFC 5321 §4.1.1.4). */
export function endOfMessage(session: Session, key: ReplyKey, settings: Settings, id?: string): Answer {
  session.state = READY;
  if (key !== 'queued') return refuse(session, key, settings);
  session.messages++;
  session.idleCommands = 0;
  return { reply: replyLine('queued', id), action: 'none' };
}

/** RFC 3207 §4.2: nothing that the client said in clear survives; the budgets do. */
export function tlsStarted(session: Session): void {
  session.state = NEW;
  session.hello = null;
  session.tls = true;
}

/** RFC 5321 §4.1.1.1, the keywords as their RFCs give them. */
function ehloReply(session: Session, settings: Settings): string {
  const lines = [
    settings.hostname,
    'PIPELINING', // RFC 2920
    `SIZE ${settings.messageBytesMax}`, // RFC 1870
    '8BITMIME', // RFC 6152
    'SMTPUTF8', // RFC 6531
    'ENHANCEDSTATUSCODES', // RFC 2034
    'CHUNKING', // RFC 3030
    'DSN', // RFC 3461
    `LIMITS RCPTMAX=${settings.recipientsMax} MAILMAX=${settings.messagesMax}`, // RFC 9422
  ];
  if (settings.startTls && !session.tls) lines.push('STARTTLS'); // RFC 3207
  const last = REPLIES.hello[0];
  return `${lines.map((line) => `${last}-${line}\r\n`).join('')}${last} HELP\r\n`;
}
