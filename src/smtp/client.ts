/**
 * One mail transaction on the client's side (RFC 5321 §3.3, LMTP: RFC 2033), pure: replies in, steps out, an outcome
 * for every recipient at the end.
 *
 *   said at once, where the server pipelines:     MAIL  RCPT…  DATA | BDAT n LAST + content
 *   said one by one, where it does not:           MAIL ► RCPT ► … ► DATA
 *   replies, always in this order:          [RSET] MAIL  RCPT…  DATA  [final]   or   [RSET] MAIL  RCPT…  [final] (BDAT)
 *
 * `stage` names the reply that is awaited. A refused MAIL or RCPT does not stop what is already under way: the replies
 * to it are read and dropped (RFC 2920 §3.1).
 */
import { assert } from '../base/assert.ts';
import type { Recipient } from '../message/envelope.ts';
import { isAscii } from './address.ts';
import type { Capabilities } from './capabilities.ts';
import type { Reply } from './reply_reader.ts';
import { replyText } from './reply_reader.ts';

/** `again`: to be sent soon, on this site, without counting as an attempt. */
export type Outcome = {
  readonly tag: 'delivered' | 'deferred' | 'failed' | 'again';
  /** The server's code, or 0 where it did not speak. */
  readonly code: number;
  readonly enhanced: string;
  readonly text: string;
};

export type Mail = {
  /** '' is the null sender. */
  readonly sender: string;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  /** Content with our edits, before dots are stuffed. */
  readonly bytes: number;
  readonly ret?: 'full' | 'headers';
  readonly envid?: string;
  readonly recipients: readonly Recipient[];
};

export type Terms = {
  readonly capabilities: Capabilities;
  readonly lmtp: boolean;
  /** The last transaction left the server in the middle of one. */
  readonly rsetFirst: boolean;
  /** The content is small and at hand: with CHUNKING it can go with the commands. */
  readonly contentAtHand: boolean;
};

type Stage = 'rset' | 'mail' | 'recipient' | 'data' | 'content' | 'final' | 'drop';

/** Changed by this module only. */
export type Transaction = {
  readonly mail: Mail;
  readonly lmtp: boolean;
  readonly pipelined: boolean;
  readonly bdat: boolean;
  readonly parameters: string;
  readonly dsn: boolean;
  stage: Stage;
  /** By index in mail.recipients; null: accepted, or not yet answered. */
  readonly outcomes: (Outcome | null)[];
  /** The next recipient to be answered: at RCPT, and once more at an LMTP server's end. */
  at: number;
  accepted: number;
};

export type Begun =
  | { readonly tag: 'impossible'; readonly outcome: Outcome }
  /** Send `text`, and the content right behind it if `withContent`. */
  | { readonly tag: 'begun'; readonly transaction: Transaction; readonly text: string; readonly withContent: boolean };

export type TransactionStep =
  | { readonly tag: 'wait' }
  | { readonly tag: 'say'; readonly text: string }
  /** Stream the content as DATA wants it (RFC 5321 §4.5.2), with the end of data. */
  | { readonly tag: 'content' }
  /** All outcomes are there; what the connection is good for. */
  | { readonly tag: 'finished'; readonly after: 'reusable' | 'rset' | 'close' };

const WAIT: TransactionStep = { tag: 'wait' };

export function beginTransaction(mail: Mail, terms: Terms): Begun {
  const { capabilities, lmtp, rsetFirst } = terms;
  const refusal = impossible(mail, capabilities);
  if (refusal !== null) return { tag: 'impossible', outcome: refusal };
  const transaction: Transaction = {
    mail,
    lmtp,
    pipelined: capabilities.pipelining,
    bdat: capabilities.pipelining && capabilities.chunking && terms.contentAtHand,
    parameters: mailParameters(mail, capabilities),
    dsn: capabilities.dsn,
    stage: rsetFirst ? 'rset' : 'mail',
    outcomes: mail.recipients.map(() => null),
    at: 0,
    accepted: 0,
  };
  const rset = rsetFirst ? 'RSET\r\n' : '';
  if (!transaction.pipelined)
    return { tag: 'begun', transaction, text: rset || mailLine(transaction), withContent: false };
  let text = rset + mailLine(transaction);
  for (const recipient of mail.recipients) text += recipientLine(recipient, transaction);
  text += transaction.bdat ? `BDAT ${mail.bytes} LAST\r\n` : 'DATA\r\n';
  return { tag: 'begun', transaction, text, withContent: transaction.bdat };
}

/** What this server can never take, known without asking it. */
function impossible(mail: Mail, { smtpUtf8, sizeBytesMax }: Capabilities): Outcome | null {
  if (needsSmtpUtf8(mail) && !smtpUtf8) {
    // RFC 6531 §3.2: the message must not go to a server that does not offer the extension.
    return { tag: 'failed', code: 0, enhanced: '5.6.7', text: 'the next server does not take internationalized mail' };
  }
  if (sizeBytesMax !== null && mail.bytes > sizeBytesMax) {
    const text = `the message has ${mail.bytes} bytes, the next server takes ${sizeBytesMax}`;
    return { tag: 'failed', code: 0, enhanced: '5.3.4', text }; // RFC 1870 §6.2
  }
  return null;
}

const needsSmtpUtf8 = (mail: Mail): boolean =>
  mail.smtpUtf8 && (mail.eightBit || !isAscii(mail.sender) || mail.recipients.some(({ address }) => !isAscii(address)));

function mailParameters(mail: Mail, capabilities: Capabilities): string {
  let text = '';
  if (capabilities.sizeBytesMax !== null) text += ` SIZE=${mail.bytes}`;
  if (mail.eightBit && capabilities.eightBitMime) text += ' BODY=8BITMIME';
  if (needsSmtpUtf8(mail)) text += ' SMTPUTF8';
  if (capabilities.dsn && mail.ret !== undefined) text += mail.ret === 'full' ? ' RET=FULL' : ' RET=HDRS';
  if (capabilities.dsn && mail.envid !== undefined) text += ` ENVID=${mail.envid}`;
  return text;
}

const mailLine = ({ mail, parameters }: Transaction): string => line(`MAIL FROM:<${mail.sender}>${parameters}`);

function recipientLine({ address, notify, orcpt }: Recipient, { dsn }: Transaction): string {
  let text = `RCPT TO:<${address}>`;
  if (dsn && notify !== undefined) text += ` NOTIFY=${(notify === 'never' ? notify : notify.join(',')).toUpperCase()}`;
  if (dsn && orcpt !== undefined) text += ` ORCPT=${orcpt}`;
  return line(text);
}

/** The other half of the check that the parser made: nothing in the journal can become a second command. */
function line(text: string): string {
  assert(!/[\r\n\0]/.test(text), 'a command is one line');
  return `${text}\r\n`;
}

/** The next step after a reply. */
export function transactionReply(transaction: Transaction, reply: Reply): TransactionStep {
  if (reply.code === 421) {
    settle(transaction, outcomeOf(reply)); // RFC 5321 §3.8
    return { tag: 'finished', after: 'close' };
  }
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
    case 'final':
      return finalAnswered(transaction, reply);
    case 'drop':
      return { tag: 'finished', after: 'rset' };
  }
}

function mailAnswered(transaction: Transaction, reply: Reply): TransactionStep {
  const { mail, pipelined } = transaction;
  const well = isWell(reply);
  if (!well) settle(transaction, outcomeOf(reply));
  if (!pipelined && !well) return { tag: 'finished', after: 'reusable' };
  transaction.stage = 'recipient';
  return pipelined ? WAIT : { tag: 'say', text: recipientLine(mail.recipients[0]!, transaction) };
}

function recipientAnswered(transaction: Transaction, reply: Reply): TransactionStep {
  const { mail, pipelined, outcomes } = transaction;
  const at = transaction.at++;
  if (outcomes[at] === null) {
    if (isWell(reply)) transaction.accepted++;
    else
      outcomes[at] =
        tooMany(reply) && transaction.accepted > 0 ? { ...outcomeOf(reply), tag: 'again' } : outcomeOf(reply);
  }
  const more = transaction.at < mail.recipients.length;
  if (more)
    return pipelined ? WAIT : { tag: 'say', text: recipientLine(mail.recipients[transaction.at]!, transaction) };
  transaction.at = 0;
  transaction.stage = transaction.bdat ? 'final' : 'data';
  if (pipelined) return WAIT;
  return transaction.accepted > 0 ? { tag: 'say', text: 'DATA\r\n' } : { tag: 'finished', after: 'rset' };
}

/** RFC 5321 §4.5.3.1.10: 452 means that the rest goes in another transaction; 552 was an older way to say so. */
const tooMany = ({ code, enhanced }: Reply): boolean =>
  (code === 452 && (enhanced === '4.5.3' || enhanced === '')) || (code === 552 && enhanced === '5.5.3');

function dataAnswered(transaction: Transaction, reply: Reply): TransactionStep {
  if (reply.code === 354) {
    if (transaction.accepted > 0) {
      transaction.stage = 'content';
      return { tag: 'content' };
    }
    transaction.stage = 'drop'; // RFC 2920 §3.1: nobody is left, and the server waits for a message
    return { tag: 'say', text: '.\r\n' };
  }
  settle(transaction, outcomeOf(reply));
  return { tag: 'finished', after: 'rset' };
}

function finalAnswered(transaction: Transaction, reply: Reply): TransactionStep {
  const { outcomes, lmtp, bdat } = transaction;
  if (transaction.stage === 'content') {
    settle(transaction, outcomeOf(reply)); // an answer in mid-content: what follows would be taken for commands
    return { tag: 'finished', after: 'close' };
  }
  const well = isWell(reply);
  const after = bdat && (!well || transaction.accepted === 0) ? 'rset' : 'reusable'; // RFC 3030 §2
  const outcome = well ? { ...outcomeOf(reply), tag: 'delivered' as const } : outcomeOf(reply);
  if (!lmtp || transaction.accepted === 0) {
    settle(transaction, outcome);
    return { tag: 'finished', after };
  }
  outcomes[outcomes.indexOf(null)] = outcome; // RFC 2033 §4.2: in the order of the accepted RCPTs
  return outcomes.includes(null) ? WAIT : { tag: 'finished', after };
}

/** The driver has handed the whole content, with its end, to the connection. */
export function contentSent(transaction: Transaction): void {
  if (transaction.stage === 'content') transaction.stage = 'final';
}

/**
 * The connection is gone, or out of step. A reused one that dies before MAIL is answered was closed by the server in
 * the meantime: `again`. Later the message may even have arrived, and is sent once more all the same (RFC 5321 §6.1:
 * at worst a duplicate).
 */
export function transactionLost(transaction: Transaction, reused: boolean, text: string): void {
  const unheard = transaction.stage === 'rset' || transaction.stage === 'mail';
  settle(transaction, { tag: reused && unheard ? 'again' : 'deferred', code: 0, enhanced: '4.4.2', text });
}

/** Which wait of RFC 5321 §4.5.3.2 is running. */
export const awaitsFinal = ({ stage }: Transaction): boolean => stage === 'final';

function settle(transaction: Transaction, outcome: Outcome): void {
  const { outcomes } = transaction;
  for (let at = 0; at < outcomes.length; at++) outcomes[at] ??= outcome;
  transaction.accepted = 0;
}

const isWell = ({ code }: Reply): boolean => code >= 200 && code < 300;

/** A reply that refuses; one that makes no sense here (3yz) is taken for a passing fault. */
function outcomeOf(reply: Reply): Outcome {
  const { code, enhanced } = reply;
  return { tag: code >= 500 ? 'failed' : 'deferred', code, enhanced, text: replyText(reply) };
}

export type { Failure } from './greeting.ts';
