/** The two parts of a notification that say what happened: one for people, one for programs (RFC 3464). See dsn.ts. */
import { mailDate } from './date.ts';
import type { Envelope, Recipient } from './envelope.ts';

/** RFC 3464 §2.3.3. `relayed`: to a server that will send no notification of its own (RFC 3461 §5.2.2). */
export type DsnKind = 'failed' | 'delayed' | 'relayed';

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
  readonly hostname: string;
  /** Whom people can ask. */
  readonly postmaster: string;
  readonly envelope: Envelope;
  readonly recipients: readonly ReportedRecipient[];
};

/** Of people's lines, and of fields. */
const LINE_CHARS = 76;

export function humanPart({ kind, hostname, postmaster, envelope, recipients }: Report): string {
  const those = recipients.length === 1 ? 'this recipient' : 'these recipients';
  const what: Readonly<Record<DsnKind, string>> = {
    failed: `could not be delivered to ${those}`,
    delayed: `has not been delivered to ${those} yet. You need not send it again`,
    relayed: `was handed on for ${those}, to a server that does not report deliveries`,
  };
  const lines = [
    `This is the mail system at ${hostname}.`,
    '',
    ...folded('', '', `Your message of ${mailDate(envelope.acceptedMs)} ${what[kind]}:`),
    '',
  ];
  for (const each of recipients) lines.push(...explained(each), '');
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
    ...(envelope.envid === undefined ? [] : field('Original-Envelope-Id', xtextDecoded(envelope.envid))),
    ...field('Reporting-MTA', `dns; ${hostname}`),
    ...field('Arrival-Date', mailDate(envelope.acceptedMs)),
  ];
  const groups = [message, ...recipients.map((each) => recipientGroup(each, kind))];
  return groups.map((lines) => `${lines.join('\r\n')}\r\n`).join('\r\n');
}

function recipientGroup(each: ReportedRecipient, kind: DsnKind): string[] {
  const { address, orcpt } = each.recipient;
  const type = isAscii(address) ? 'rfc822' : 'utf-8'; // RFC 6533 §3
  const semicolon = orcpt?.indexOf(';') ?? -1;
  return [
    ...(orcpt === undefined || semicolon === -1
      ? []
      : field('Original-Recipient', `${orcpt.slice(0, semicolon)}; ${xtextDecoded(orcpt.slice(semicolon + 1))}`)),
    ...field('Final-Recipient', `${type}; ${address}`),
    `Action: ${kind}`,
    `Status: ${statusOf(each, kind)}`,
    ...(each.host === '' ? [] : field('Remote-MTA', `dns; ${each.host}`)),
    ...(each.code === 0 ? [] : field('Diagnostic-Code', `smtp; ${diagnosis(each)}`)),
    ...field('Last-Attempt-Date', mailDate(each.lastAttemptMs)),
    ...(each.willRetryUntilMs === undefined ? [] : field('Will-Retry-Until', mailDate(each.willRetryUntilMs))),
  ];
}

/** RFC 3464 §2.3.4: the server's own where it has the class that the action must have, or the most general one. */
function statusOf({ enhanced, expired }: ReportedRecipient, kind: DsnKind): string {
  if (expired) return '4.4.7'; // RFC 3463 §3.5: delivery time expired
  const digit = CLASSES[kind];
  return enhanced.startsWith(digit) ? enhanced : `${digit}.0.0`;
}

const CLASSES: Readonly<Record<DsnKind, string>> = { failed: '5', delayed: '4', relayed: '2' };

/** The server's words as they came: code, status, text. */
const diagnosis = ({ code, enhanced, text }: ReportedRecipient): string =>
  [code === 0 ? '' : String(code), enhanced, text].filter((each) => each !== '').join(' ');

/** A field, folded (RFC 5322 §2.2.3). */
const field = (name: string, value: string): string[] => folded(`${name}: `, '\t', value);

/**
 * Words of `text` on lines of up to 76 characters, longer only where a word is. The first line begins with `first`, all
 * others with `rest`. Whoever wrote it, there is no line end and no control in it.
 */
function folded(first: string, rest: string, text: string): string[] {
  const words = text.replace(/[\x00-\x1f\x7f-\x9f]+/g, '?').trim();
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

/** RFC 3461 §4. Controls stay encoded. */
const xtextDecoded = (text: string): string =>
  text.replace(/\+([2-7][0-9A-F])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

const isAscii = (text: string): boolean => !/[^\x00-\x7f]/.test(text);
