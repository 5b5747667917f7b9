/** The two parts of a notification that say what happened: one for people, one for programs (RFC 3464). See dsn.ts. */
import { isAscii } from '../base/text.ts';
import { LIMITS } from '../config/limits.ts';
import { mailDate } from './date.ts';
import { originalRecipient, xtextDecoded } from './encodings.ts';
import type { Envelope, Recipient } from './envelope.ts';

/**
 * RFC 3464 §2.3.3. `relayed`: to a server that will send no notification of its own (RFC 3461 §5.2.2). `expanded` is
 * for who expands aliases, which we do not.
 */
export type DsnKind = 'failed' | 'delayed' | 'relayed' | 'delivered';

export type ReportedRecipient = {
  readonly recipient: Recipient;
  /** The server's code, 0 where it did not speak. */
  readonly code: number;
  /** RFC 3463 status; '' where the server gave none. */
  readonly enhanced: string;
  /** What the server said, one printable line. */
  readonly text: string;
  /** Given up after its time in the queue, not refused. */
  readonly expired: boolean;
  /** The host that said it, '' where none was reached. */
  readonly host: string;
  readonly lastAttemptMs: number;
  /** For `delayed`: when it will be given up. */
  readonly willRetryUntilMs?: number;
};

export type Report = {
  readonly kind: DsnKind;
  /** Who gets it: the sender, or of a double bounce the postmaster. */
  readonly to: string;
  readonly hostname: string;
  /** Whom people can ask. */
  readonly postmaster: string;
  readonly envelope: Envelope;
  readonly recipients: readonly ReportedRecipient[];
};

/** Of people's lines, and of fields. */
const LINE_CHARS = 76;

export function humanPart({ kind, to, hostname, postmaster, envelope, recipients }: Report): string {
  const those = recipients.length === 1 ? 'this recipient' : 'these recipients';
  const what: Readonly<Record<DsnKind, string>> = {
    failed: `could not be delivered to ${those}`,
    delayed: `has not been delivered to ${those} yet. You need not send it again`,
    relayed: `was handed on for ${those}, to a server that does not report deliveries`,
    delivered: `was delivered to ${those}`,
  };
  const mail = envelope.sender === to ? 'Your message' : 'A message of the null sender';
  const lines = [
    `This is the mail system at ${hostname}.`,
    '',
    ...folded('', '', `${mail} of ${mailDate(envelope.acceptedMs)} ${what[kind]}:`),
    '',
  ];
  for (const each of recipients.slice(0, LIMITS.noticeRecipientsExplainedMax)) lines.push(...explained(each), '');
  const more = recipients.length - LIMITS.noticeRecipientsExplainedMax;
  if (more > 0) lines.push(`And ${more} more, which the next part of this report names.`, '');
  lines.push(...folded('', '', `If this does not help you, write to ${postmaster}.`), '');
  return lines.join('\r\n');
}

function explained(each: ReportedRecipient): string[] {
  const lines = [`<${each.recipient.address}>`];
  if (each.expired) lines.push('    It was tried until its time was over. The last answer was:');
  const said = each.code === 0 ? '' : ' said';
  lines.push(...folded('    ', '    ', `${each.host === '' ? '' : `${each.host}${said}: `}${diagnosis(each)}`));
  if (each.willRetryUntilMs !== undefined) lines.push(`    It is tried until ${mailDate(each.willRetryUntilMs)}.`);
  return lines;
}

/** RFC 3464 §2.2 and §2.3, each group ended by an empty line but the last. */
export function statusPart({ kind, hostname, envelope, recipients }: Report): string {
  const message = [
    ...(envelope.envid === undefined ? [] : exactField('Original-Envelope-Id', xtextDecoded(envelope.envid))),
    ...field('Reporting-MTA', `dns; ${hostname}`),
    ...field('Arrival-Date', mailDate(envelope.acceptedMs)),
    ...field('X-Postern-Id', envelope.id), // RFC 3464 §2.4: finds the log lines
  ];
  const groups = [message, ...recipients.map((each) => recipientGroup(each, kind, envelope.smtpUtf8))];
  return groups.map((lines) => `${lines.join('\r\n')}\r\n`).join('\r\n');
}

function recipientGroup(each: ReportedRecipient, kind: DsnKind, utf8: boolean): string[] {
  const { address, orcpt } = each.recipient;
  const type = isAscii(address) ? 'rfc822' : 'utf-8'; // RFC 6533 §3
  const original = orcpt === undefined ? null : originalRecipient(orcpt, utf8);
  const diagnosticType = each.code === 0 ? 'x-postern' : 'smtp'; // RFC 3464 §2.3.6: words of ours are no SMTP reply
  return [
    ...(original === null ? [] : exactField('Original-Recipient', original)),
    ...exactField('Final-Recipient', `${type}; ${address}`),
    `Action: ${kind}`,
    `Status: ${statusOf(each, kind)}`,
    ...(each.host === '' ? [] : field('Remote-MTA', `dns; ${mtaName(each.host)}`)),
    ...(diagnosis(each) === '' ? [] : field('Diagnostic-Code', `${diagnosticType}; ${diagnosis(each)}`)),
    ...field('Last-Attempt-Date', mailDate(each.lastAttemptMs)),
    ...(each.willRetryUntilMs === undefined ? [] : field('Will-Retry-Until', mailDate(each.willRetryUntilMs))),
  ];
}

/** RFC 3461 §9.3: a host that we know by its address alone is written as an address literal (RFC 5321 §4.1.3). */
function mtaName(host: string): string {
  if (host.includes(':')) return `[IPv6:${host}]`;
  return /^[\d.]+$/.test(host) ? `[${host}]` : host;
}

/** RFC 3464 §2.3.4: the server's own where it has the class that the action must have, or the most general one. */
function statusOf({ enhanced, expired }: ReportedRecipient, kind: DsnKind): string {
  if (expired) return '4.4.7'; // RFC 3463 §3.5: delivery time expired
  const digit = CLASSES[kind];
  return enhanced.startsWith(digit) ? enhanced : `${digit}.0.0`;
}

const CLASSES: Readonly<Record<DsnKind, string>> = { failed: '5', delayed: '4', relayed: '2', delivered: '2' };

/** The server's words as they came: code, status, text. */
const diagnosis = ({ code, enhanced, text }: ReportedRecipient): string =>
  [code === 0 ? '' : String(code), enhanced, text].filter((each) => each !== '').join(' ');

/** A field whose value must come back to its sender as it was: no fold, and no blank less. */
const exactField = (name: string, value: string): string[] => [`${name}: ${printable(value)}`];

/** Whoever wrote it, there is no line end and no control in it. */
const printable = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, '?').trim();

/** A field, folded (RFC 5322 §2.2.3). */
const field = (name: string, value: string): string[] => folded(`${name}: `, '\t', value);

/**
 * Words of `text` on lines of up to 76 characters, longer only where a word is. The first line begins with `first`, all
 * others with `rest`.
 */
function folded(first: string, rest: string, text: string): string[] {
  const words = printable(text);
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of words.split(/ +/)) {
    if (!empty && line.length + 1 + word.length > LINE_CHARS) {
      lines.push(line);
      line = rest;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
