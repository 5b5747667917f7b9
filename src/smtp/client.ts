/**
 * One mail transaction on the client's side (RFC 5321 §3.3, LMTP: RFC 2033), pure: replies in, steps out, an outcome
 * for every recipient at the end.
 *
 *   said at once, where the server pipelines:     MAIL  RCPT…  DATA | BDAT n LAST + content
 *   said one by one, where it does not:           MAIL ► RCPT ► … ► DATA
 *   replies, always in this order:          [RSET] MAIL  RCPT…  DATA  [final]   or   [RSET] MAIL  RCPT…  [final] (BDAT)
 *
 *   rset ─► mail ─► recipient ─► data ─354─► content ─(contentSent)─► final ─► finished
 *                    └ each ┘     │ 354, and nobody is left ─► drop ─► finished      (LMTP: a final for each accepted)
 *
 * `stage` names the reply that is awaited. A refused MAIL or RCPT does not stop what is already under way: the replies
 * to it are read and dropped (RFC 2920 §3.1). A reply of a kind that its command cannot have means that client and
 * server are out of step; then the connection is closed before it does harm, and nothing is taken for delivered.
 *
 * It runs once for each message and connection, so a transaction is one record that is changed in place, and a step is
 * one of a few constants wherever it carries nothing.
 */
import { assert, unreachable } from '../base/assert.ts';
import { isAscii, utf8Octets } from '../base/text.ts';
import type { Recipient } from '../message/envelope.ts';
import type { Capabilities } from './capabilities.ts';
import type { Reply } from './reply_reader.ts';
import { replyText } from './reply_reader.ts';

/** `again`: to be sent soon, on this site, without counting as an attempt. */
export type Outcome = {
  readonly tag: 'delivered' | 'deferred' | 'failed' | 'again';
  /** The server's code, or 0 where it did not speak. */
  readonly code: number;
  readonly enhanced: string;
  /** One printable line of at most 500 chars. */
  readonly text: string;
};

/** All strings are text, not octets. */
export type Mail = {
  /** '' is the null sender. */
  readonly sender: string;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  /** Content with our edits, before dots are stuffed. */
  readonly bytes: number;
  readonly ret?: 'full' | 'headers' | undefined;
  readonly envid?: string | undefined;
  /** At least one. */
  readonly recipients: readonly Recipient[];
};

export type Terms = {
  readonly capabilities: Capabilities;
  readonly lmtp: boolean;
  /** The last transaction left the server in the middle of one. */
  readonly rsetFirst: boolean;
  /** The content is small and at hand: with CHUNKING it can go with the commands. */
  readonly contentAtHand: boolean;
  /** The connection has carried a message before, so a 421 may speak of its age. Absent: as `rsetFirst`. */
  readonly reused?: boolean;
};

type Stage = 'rset' | 'mail' | 'recipient' | 'data' | 'content' | 'final' | 'drop';

/** Changed by this module only. */
export type Transaction = {
  readonly mail: Mail;
  readonly lmtp: boolean;
  readonly reused: boolean;
  readonly pipelined: boolean;
  readonly bdat: boolean;
  readonly parameters: string;
  readonly dsn: boolean;
  /** MAIL says SMTPUTF8. */
  readonly utf8: boolean;
  stage: Stage;
  /** By index in mail.recipients; null: accepted, or not yet answered. */
  readonly outcomes: (Outcome | null)[];
  /** The next recipient to be answered: at RCPT, and once more at an LMTP server's end. */
  at: number;
  /** Recipients that the server has taken. */
  accepted: number;
};

export type Begun =
  | { readonly tag: 'impossible'; readonly outcome: Outcome }
  /** Send `text`, and the content right behind it if `withContent`. */
  | { readonly tag: 'begun'; readonly transaction: Transaction; readonly text: string; readonly withContent: boolean };

/** `text` is octets, one char per byte. */
export type TransactionStep =
  | { readonly tag: 'wait' }
  | { readonly tag: 'say'; readonly text: string }
  /** Stream the content as DATA wants it (RFC 5321 §4.5.2), with the end of data. */
  | { readonly tag: 'content' }
  /** All outcomes are there; what the connection is good for. */
  | { readonly tag: 'finished'; readonly after: 'reusable' | 'rset' | 'close' };

const WAIT: TransactionStep = { tag: 'wait' };
const CONTENT: TransactionStep = { tag: 'content' };
const SAY_DATA: TransactionStep = { tag: 'say', text: 'DATA\r\n' };
const SAY_DOT: TransactionStep = { tag: 'say', text: '.\r\n' };
const REUSABLE: TransactionStep = { tag: 'finished', after: 'reusable' };
const NEEDS_RSET: TransactionStep = { tag: 'finished', after: 'rset' };
const CLOSE: TransactionStep = { tag: 'finished', after: 'close' };

// --- what is said ---

export function beginTransaction(mail: Mail, terms: Terms): Begun {
  const { capabilities, lmtp, rsetFirst } = terms;
  assert(mail.recipients.length > 0, 'mail has a recipient');
  const refusal = impossible(mail, capabilities);
  if (refusal !== null) return { tag: 'impossible', outcome: refusal };
  const transaction: Transaction = {
    mail,
    lmtp,
    reused: terms.reused ?? rsetFirst,
    pipelined: capabilities.pipelining,
    bdat: capabilities.pipelining && capabilities.chunking && terms.contentAtHand,
    parameters: mailParameters(mail, capabilities),
    dsn: capabilities.dsn,
    utf8: needsSmtpUtf8(mail),
    stage: rsetFirst ? 'rset' : 'mail',
    outcomes: mail.recipients.map(() => null),
    at: 0,
    accepted: 0,
  };
  const rset = rsetFirst ? 'RSET\r\n' : '';
  const { pipelined, bdat } = transaction;
  if (!pipelined) return { tag: 'begun', transaction, text: rset || mailLine(transaction), withContent: false };
  let text = rset + mailLine(transaction);
  for (const recipient of mail.recipients) text += recipientLine(recipient, transaction);
  text += bdat ? `BDAT ${mail.bytes} LAST\r\n` : 'DATA\r\n';
  return { tag: 'begun', transaction, text, withContent: bdat };
}

/** What this server can never take, known without asking it. */
function impossible(mail: Mail, { smtpUtf8, sizeBytesMax }: Capabilities): Outcome | null {
  if (needsSmtpUtf8(mail) && !smtpUtf8) {
    // RFC 6531 §3.2: the message must not go to a server that does not offer the extension.
    return { tag: 'failed', code: 0, enhanced: '5.6.7', text: 'the next server does not take internationalized mail' };
  }
  if (sizeBytesMax !== null && sizeBytesMax > 0 && mail.bytes > sizeBytesMax) {
    const text = `the message has ${mail.bytes} bytes, the next server takes ${sizeBytesMax}`;
    return { tag: 'failed', code: 0, enhanced: '5.3.4', text }; // RFC 1870 §6.2
  }
  return null;
}

/** A client that asked for SMTPUTF8 and then sent nothing but ASCII is no reason to ask for it (RFC 6531 §3.6). */
const needsSmtpUtf8 = (mail: Mail): boolean =>
  mail.smtpUtf8 && (mail.eightBit || !isAscii(mail.sender) || mail.recipients.some(({ address }) => !isAscii(address)));

/** 8-bit content goes as it is to a server without 8BITMIME (RFC 6152): nearly all of those take it. */
function mailParameters(mail: Mail, capabilities: Capabilities): string {
  let text = '';
  if (capabilities.sizeBytesMax !== null) text += ` SIZE=${mail.bytes}`;
  if (mail.eightBit && capabilities.eightBitMime) text += ' BODY=8BITMIME';
  if (needsSmtpUtf8(mail)) text += ' SMTPUTF8';
  if (capabilities.dsn && mail.ret !== undefined) text += mail.ret === 'full' ? ' RET=FULL' : ' RET=HDRS';
  if (capabilities.dsn && mail.envid !== undefined) text += ` ENVID=${word(mail.envid)}`;
  return text;
}

const mailLine = ({ mail, parameters }: Transaction): string =>
  `MAIL FROM:<${path(mail.sender, mail.smtpUtf8)}>${parameters}\r\n`;

function recipientLine({ address, notify, orcpt }: Recipient, { mail, dsn, utf8 }: Transaction): string {
  let text = `RCPT TO:<${path(address, mail.smtpUtf8)}>`;
  if (dsn && notify !== undefined) text += ` NOTIFY=${(notify === 'never' ? notify : notify.join(',')).toUpperCase()}`;
  if (dsn && orcpt !== undefined) text += ` ORCPT=${utf8 ? utf8Word(orcpt) : word(asXtext(orcpt))}`;
  return `${text}\r\n`;
}

/** No blank and no bracket outside quotes, no control anywhere; any quoted local part is before the last unquoted @. */
const PATH = /^(?:[^\x00-\x20"<>\\\x7f]*|"(?:[^\x00-\x1f"\\\x7f]|\\[^\x00-\x1f\x7f])*"@[^\x00-\x20"<>\\\x7f]+)$/;
const WORD = /^[\x21-\x7e]+$/;

/** The other half of the parser's check: nothing in the journal can become a second command or parameter. */
function path(address: string, smtpUtf8: boolean): string {
  assert(PATH.test(address), 'an address stays between its brackets');
  if (isAscii(address)) return address;
  assert(smtpUtf8, 'an internationalized address came with SMTPUTF8');
  return utf8Octets(address);
}

function word(text: string): string {
  assert(WORD.test(text), 'a parameter is one word');
  return text;
}

function utf8Word(text: string): string {
  assert(/^[^\x00-\x20\x7f-\xa0]+$/.test(text), 'a parameter is one word');
  return utf8Octets(text);
}

/**
 * With SMTPUTF8 an ORCPT goes as it came (RFC 3461 §5.2.1); in this form an internationalized address passes servers
 * without (RFC 6533 §3).
 */
const asXtext = (orcpt: string): string =>
  isAscii(orcpt)
    ? orcpt
    : orcpt.replace(/[^\x00-\x7f]/gu, (char) => `\\x{${char.codePointAt(0)!.toString(16).toUpperCase()}}`);

// --- what is answered ---

/** The next step after a reply. */
export function transactionReply(transaction: Transaction, reply: Reply): TransactionStep {
  if (reply.code === 421) return hungUp(transaction, reply);
  if (isAstray(transaction.stage, reply.code)) return outOfStep(transaction, reply);
  switch (transaction.stage) {
    case 'rset':
      transaction.stage = 'mail';
      return transaction.pipelined ? WAIT : { tag: 'say', text: mailLine(transaction) };
    case 'mail':
      return mailAnswered(transaction, reply);
    case 'recipient':
      return recipientAnswered(transaction, reply);
    case 'data':
      return dataAnswered(transaction, reply);
    case 'content':
      settle(transaction, outcomeOf(reply)); // an answer in mid-content: what follows would be taken for commands
      return CLOSE;
    case 'final':
      return finalAnswered(transaction, reply);
    case 'drop':
      return NEEDS_RSET;
    default:
      return unreachable(transaction.stage);
  }
}

/**
 * RFC 5321 §3.8: the server leaves. One that has carried a message before, and has taken nobody of this one, has merely
 * had enough of this connection.
 */
function hungUp(transaction: Transaction, reply: Reply): TransactionStep {
  const untouched = transaction.accepted === 0;
  const outcome = outcomeOf(reply, transaction.reused && untouched ? 'again' : refusalOf(reply));
  settle(transaction, outcome);
  return CLOSE;
}

/** RFC 5321 §4.3.2: 354 answers DATA, and nothing but DATA; a 2yz means success of anything but DATA. */
function isAstray(stage: Stage, code: number): boolean {
  if (stage === 'data') return code < 400 && code !== 354;
  if (stage === 'content') return code < 400;
  // RFC 5321 §4.1.1.5: RSET cannot be refused, and who does may still have our last mail open.
  if (stage === 'rset') return code >= 300;
  return code >= 300 && code < 400;
}

function outOfStep(transaction: Transaction, reply: Reply): TransactionStep {
  const { stage, reused } = transaction;
  const text = `unexpected reply (${stage}): ${reply.code} ${replyText(reply)}`.slice(0, 500);
  const tag = stage === 'rset' && reused ? 'again' : 'deferred';
  settle(transaction, { tag, code: reply.code, enhanced: '4.5.0', text }); // RFC 3463 §3.6: protocol status
  return CLOSE;
}

function mailAnswered(transaction: Transaction, reply: Reply): TransactionStep {
  const { mail, pipelined } = transaction;
  const well = isWell(reply);
  if (!well) settle(transaction, outcomeOf(reply));
  if (!pipelined && !well) return REUSABLE;
  transaction.stage = 'recipient';
  return pipelined ? WAIT : { tag: 'say', text: recipientLine(mail.recipients[0]!, transaction) };
}

function recipientAnswered(transaction: Transaction, reply: Reply): TransactionStep {
  const { mail, pipelined, outcomes } = transaction;
  const at = transaction.at++;
  if (outcomes[at] !== null) {
    // MAIL was refused. Who takes a recipient now has another transaction open: it must not get its end of data.
    if (isWell(reply)) return CLOSE;
  } else if (isWell(reply)) transaction.accepted++;
  else outcomes[at] = recipientRefused(transaction, reply);
  const more = transaction.at < mail.recipients.length;
  if (more)
    return pipelined ? WAIT : { tag: 'say', text: recipientLine(mail.recipients[transaction.at]!, transaction) };
  transaction.at = firstNull(outcomes, 0);
  transaction.stage = transaction.bdat ? 'final' : 'data';
  if (pipelined) return WAIT;
  return transaction.accepted > 0 ? SAY_DATA : NEEDS_RSET;
}

function recipientRefused(transaction: Transaction, reply: Reply): Outcome {
  // Without an accepted one there would be no end to it.
  return outcomeOf(reply, transaction.accepted > 0 && isTooMany(reply) ? 'again' : refusalOf(reply));
}

/** RFC 5321 §4.5.3.1.10: 452 means that the rest goes in another transaction; 552 was an older way to say so. */
const isTooMany = ({ code, enhanced }: Reply): boolean =>
  (code === 452 && (enhanced === '4.5.3' || enhanced === '')) ||
  (code === 552 && (enhanced === '5.5.3' || enhanced === ''));

function dataAnswered(transaction: Transaction, reply: Reply): TransactionStep {
  if (reply.code === 354 && transaction.accepted > 0) {
    transaction.stage = 'content';
    return CONTENT;
  }
  if (reply.code === 354) {
    transaction.stage = 'drop'; // RFC 2920 §3.1: nobody is left, and the server waits for a message
    return SAY_DOT;
  }
  settle(transaction, outcomeOf(reply));
  return NEEDS_RSET;
}

function finalAnswered(transaction: Transaction, reply: Reply): TransactionStep {
  const { outcomes, lmtp, bdat, accepted } = transaction;
  const well = isWell(reply);
  const finished = bdat && (!well || accepted === 0) ? NEEDS_RSET : REUSABLE; // RFC 3030 §2
  const outcome = outcomeOf(reply, well ? 'delivered' : refusalOf(reply));
  if (!lmtp || accepted === 0) {
    settle(transaction, outcome);
    return finished;
  }
  outcomes[transaction.at] = outcome; // RFC 2033 §4.2: in the order of the accepted RCPTs
  transaction.at = firstNull(outcomes, transaction.at + 1);
  return transaction.at < outcomes.length ? WAIT : finished;
}

// --- what is not answered ---

/** The driver has handed the whole content, with its end, to the connection. */
export function contentSent(transaction: Transaction): void {
  if (transaction.stage === 'content') transaction.stage = 'final';
}

/**
 * The connection is gone, or out of step. A reused one that dies before the end of data has merely come to its end:
 * `again`. Later the message may even have arrived; it is sent once more all the same, for a duplicate is the lesser
 * evil (RFC 5321 §4.5.3.2.6, §6.1).
 */
export function transactionLost(transaction: Transaction, reused: boolean, text: string): void {
  const tag = reused && !contentEnded(transaction) ? 'again' : 'deferred';
  settle(transaction, { tag, code: 0, enhanced: '4.4.2', text });
}

/**
 * The server may have the whole message. With BDAT it is all said at once, but a server that had not even answered the
 * first command was most likely gone before it came.
 */
const contentEnded = ({ stage, bdat }: Transaction): boolean =>
  bdat ? stage !== 'rset' && stage !== 'mail' : stage === 'final';

/** Of a finished one, or a lost one, in the order of its recipients. */
export function outcomesOf({ outcomes }: Transaction): readonly Outcome[] {
  assert(!outcomes.includes(null), 'every recipient has an outcome');
  return outcomes as readonly Outcome[];
}

/** Which wait of RFC 5321 §4.5.3.2 is running. */
export const awaitsFinal = ({ stage }: Transaction): boolean => stage === 'final';

/** Whoever has no outcome yet gets this one. */
function settle(transaction: Transaction, outcome: Outcome): void {
  const { outcomes } = transaction;
  for (let at = 0; at < outcomes.length; at++) outcomes[at] ??= outcome;
}

function firstNull(outcomes: readonly (Outcome | null)[], from: number): number {
  let at = from;
  while (at < outcomes.length && outcomes[at] !== null) at++;
  return at;
}

const isWell = ({ code }: Reply): boolean => code < 300;

const refusalOf = ({ code }: Reply): Outcome['tag'] => (code >= 500 ? 'failed' : 'deferred');

function outcomeOf(reply: Reply, tag: Outcome['tag'] = refusalOf(reply)): Outcome {
  return { tag, code: reply.code, enhanced: reply.enhanced, text: replyText(reply) };
}

export type { Failure } from './greeting.ts';
