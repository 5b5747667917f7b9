/** Plays scripted servers to a transaction: for client.test.ts and client_trouble.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Capabilities } from '../../../src/smtp/capabilities.ts';
import { NO_CAPABILITIES } from '../../../src/smtp/capabilities.ts';
import type { Mail, Terms, Transaction } from '../../../src/smtp/client.ts';
import { beginTransaction, contentSent, transactionLost, transactionReply } from '../../../src/smtp/client.ts';
import type { Reply } from '../../../src/smtp/reply_reader.ts';
import { ReplyReader } from '../../../src/smtp/reply_reader.ts';

export const PLAIN: Capabilities = NO_CAPABILITIES;
export const PIPELINED: Capabilities = { ...NO_CAPABILITIES, pipelining: true };
export const CHUNKED: Capabilities = { ...PIPELINED, chunking: true };

export const mailTo = (count: number, more: Partial<Mail> = {}): Mail => ({
  sender: 's@a.example',
  smtpUtf8: false,
  eightBit: false,
  bytes: 1000,
  recipients: Array.from({ length: count }, (_, at) => ({ address: `r${at + 1}@b.example` })),
  ...more,
});
export const terms = (capabilities: Capabilities, more: Partial<Terms> = {}): Terms => ({
  capabilities,
  lmtp: false,
  rsetFirst: false,
  contentAtHand: true,
  ...more,
});

export function parse(line: string): Reply {
  const reader = new ReplyReader();
  reader.push(`${line}\r\n`);
  const reply = reader.next();
  assert.ok(reply !== null, line);
  return reply;
}

type Result = { readonly wire: string; readonly outcomes: readonly string[]; readonly after: string };

/**
 * Plays a server's lines; `lost` is the end of the connection. In the wire, CRLF is |, the content {data} or {bdat}.
 */
export function play(mail: Mail, given: Terms, lines: readonly string[]): Result {
  const begun = beginTransaction(mail, given);
  if (begun.tag === 'impossible') return { wire: '', outcomes: [describeOutcome(begun.outcome)], after: 'untouched' };
  const { transaction } = begun;
  let wire = begun.text + (begun.withContent ? '{bdat}' : '');
  let after = 'open';
  for (const line of lines) {
    assert.equal(after, 'open', `${line} comes after the end`);
    if (line === 'lost') {
      transactionLost(transaction, given.reused ?? false, 'the line went dead');
      after = 'gone';
      break;
    }
    const step = transactionReply(transaction, parse(line));
    if (step.tag === 'say') wire += step.text;
    if (step.tag === 'content') {
      wire += '{data}';
      contentSent(transaction);
    }
    if (step.tag === 'finished') after = step.after;
  }
  const outcomes = transaction.outcomes.map((each) => (each === null ? 'none' : describeOutcome(each)));
  return { wire: wire.replaceAll('\r\n', '|'), outcomes, after };
}

const describeOutcome = ({ tag, code, enhanced, text }: NonNullable<Transaction['outcomes'][number]>): string =>
  [tag, code, enhanced, text].filter((each) => each !== '' && each !== 0).join(' ');

type Row = readonly [
  name: string,
  given: Terms,
  recipients: number,
  lines: readonly string[],
  wire: string,
  outcomes: readonly string[],
  after: string,
];

export function playTable(rows: readonly Row[]): void {
  for (const [name, given, recipients, lines, wire, outcomes, after] of rows) {
    test(name, () => assert.deepEqual(play(mailTo(recipients), given, lines), { wire, outcomes, after }));
  }
}

export const MAIL = 'MAIL FROM:<s@a.example>|';
export const R1 = 'RCPT TO:<r1@b.example>|';
export const R2 = 'RCPT TO:<r2@b.example>|';
export const R3 = 'RCPT TO:<r3@b.example>|';
export const BDAT = 'BDAT 1000 LAST|{bdat}';
export const OK = 'delivered 250 2.0.0 queued';
export const QUEUED = '250 2.0.0 queued';
export const GO = '354 go';
